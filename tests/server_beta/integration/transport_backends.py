"""What the transport suites share: both backends behind a wire that can fail, a handler that records, messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg
from bullmq import Queue
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from redis.asyncio import Redis

from server_beta.domain.ids import JobId, ProjectId, TeamId, new_id
from server_beta.domain.jobs import Lane, Message
from server_beta.domain.ports import LaneCounts
from server_beta.transport.bullmq import BullmqTransport

Opener = Callable[..., Awaitable[BullmqTransport]]
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Backend:
    """A running backend, and how to reach it without the transport."""

    engine: str
    url: str

    def transport(self, prefix: str = "claude_mem") -> BullmqTransport:
        if self.engine == "redis":
            return BullmqTransport.on_redis(self.url, prefix)
        return BullmqTransport.on_postgres(self.url, prefix)

    async def add_foreign(self, lane: Lane, payload: object, job_id: str) -> None:
        """Queue a job the way some other program would."""
        options: dict[str, object] = {"connection": self.url, "prefix": "claude_mem"}
        if self.engine == "postgres":
            options = {"backend": "postgres", "connection": self.url, "schema": "claude_mem_queue"}
        queue = Queue(lane.queue_name, options)
        await queue.add("anything", payload, {"jobId": job_id})
        await queue.close()

    async def connections(self) -> int:
        """Count the clients of the backend, this one apart."""
        if self.engine == "redis":
            async with Redis.from_url(self.url) as client:
                return len(await client.client_list()) - 1
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            answer = await connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            row = await answer.fetchone()
        assert row is not None
        return int(row[0])

    def through(self, wire: Wire) -> Backend:
        """Return the same backend at the other end of the wire."""
        if self.engine == "redis":
            return Backend("redis", urlunsplit(urlsplit(self.url)._replace(netloc=f"127.0.0.1:{wire.port}")))
        return Backend("postgres", make_conninfo(self.url, host="127.0.0.1", port=wire.port))

    async def dial(self) -> Ends:
        """Open a bare connection to the backend."""
        if self.engine == "redis":
            parts = urlsplit(self.url)
            return await asyncio.open_connection(parts.hostname, parts.port)
        given = conninfo_to_dict(self.url)
        host, port = str(given["host"]), str(given.get("port", "5432"))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, int(port))


class Wire:
    """The network between us and a backend: can be cut (refused, reset) or hung (accepted, silent), and mended."""

    def __init__(self, dial: Callable[[], Awaitable[Ends]]) -> None:
        self.port = 0
        self._dial = dial
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()

    async def mend(self) -> None:
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._call, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def fail(self, how: str) -> None:
        self._flowing.clear()
        if how == "cut" and self._server is not None:
            self._server.close()
            self._server = None
            for call in self._calls:
                call.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        far_writer = None
        try:
            far_reader, far_writer = await self._dial()
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(self._pump(reader, far_writer))
                both_ways.create_task(self._pump(far_reader, writer))
        except (asyncio.CancelledError, OSError, ExceptionGroup):
            # However a call ends, both ends are told below.
            return
        finally:
            self._calls.discard(task)
            writer.transport.abort()
            if far_writer is not None:
                far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def wire_to(backend: Backend) -> AsyncIterator[Wire]:
    """Lay a wire to the backend."""
    wire = Wire(backend.dial)
    await wire.mend()
    try:
        yield wire
    finally:
        await wire.fail("cut")


class Recorder:
    """A handler that keeps what it was given; between `hold` and `release` its calls do not return."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.finished: list[Message] = []
        self.cancelled: list[Message] = []
        self.running = 0
        self.most_running = 0
        self._gate = asyncio.Event()
        self._gate.set()

    def has(self, message: Message) -> bool:
        return message in self.messages

    def hold(self) -> None:
        self._gate.clear()

    def release(self) -> None:
        self._gate.set()

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(message)
            raise
        finally:
            self.running -= 1
        self.finished.append(message)


def a_message(lane: Lane = Lane.EVENT) -> Message:
    return Message(JobId(new_id()), TeamId(new_id()), ProjectId(new_id()), lane, 0, "req-1")


@asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Fail when a task that was started inside is still there at the end."""
    before = asyncio.all_tasks()
    yield
    assert {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()} == set()


async def counts_of(transport: BullmqTransport, lane: Lane = Lane.EVENT) -> LaneCounts:
    return next(counts for counts in await transport.counts() if counts.lane is lane)


async def is_empty(transport: BullmqTransport) -> bool:
    counts = await counts_of(transport)
    return counts == LaneCounts(Lane.EVENT, stalled=counts.stalled)
