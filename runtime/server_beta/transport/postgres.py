"""BullMQ on its Postgres backend, in a schema of its own in the same database, over at most four connections."""

from __future__ import annotations

import asyncio
import contextlib
import re

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ..domain.errors import QueueUnreachable
from ..domain.ids import digest
from ..domain.jobs import Lane
from .bull import LaneSource, Link
from .deadline import cancel, end, within

_OPEN_SECONDS = 4.0
# A notification wakes a lane at once; this is for one that was lost with its connection.
_POLL_SECONDS = 5.0
_REST = 0.25
_LAST_CONNECT = 0.5

# libpq would wait for ever on a host that vanished.
_DEFAULTS: dict[str, str | int] = {
    "application_name": "claude-mem queue",
    "connect_timeout": 2,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}


class PostgresBackend:
    """The database that holds everything else, carrying the queue as well."""

    name = "postgres"
    failures: tuple[type[Exception], ...] = (psycopg.Error, OSError)

    def __init__(self, dsn: str, prefix: str) -> None:
        self.warnings: tuple[str, ...] = ()
        try:
            given = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError as error:
            raise QueueUnreachable(
                "CLAUDE_MEM_SERVER_DATABASE_URL is not a Postgres URL; write it as postgresql://user@host:port/name."
            ) from error
        conninfo = make_conninfo(dsn, **{name: _DEFAULTS[name] for name in _DEFAULTS.keys() - given.keys()})
        self.address = f"{given.get('host') or 'localhost'}:{given.get('port') or 5432}"
        self.schema = schema_name(prefix)
        options = {"backend": "postgres", "connection": conninfo, "schema": self.schema}
        # A Postgres link does one thing at a time, so asking how the queue is must not wait behind publishing.
        self.publishing = Link(options, cancellable=False)
        self.probing = Link(options, cancellable=False)
        self._consuming = Link(options, cancellable=False)
        self._signals = _Signals(conninfo)

    async def open(self) -> None:
        """Connect and create or upgrade BullMQ's tables; raises QueueUnreachable within 5 s."""
        try:
            await within(_OPEN_SECONDS, self._prepare(), self.close)
        except psycopg.errors.InsufficientPrivilege as error:
            raise QueueUnreachable(
                f"The database user may not create the schema {self.schema} for the queue; "
                "grant it CREATE on the database, or set CLAUDE_MEM_REDIS_URL."
            ) from error
        except self.failures as error:
            raise QueueUnreachable(
                f"Postgres at {self.address} does not answer for the queue; check CLAUDE_MEM_SERVER_DATABASE_URL."
            ) from error

    def source(self, lane: Lane) -> LaneSource:
        """Open the lane for consuming."""
        self._signals.start()

        async def wait() -> None:
            await self._signals.wait(lane, _POLL_SECONDS)

        return self._consuming.source(lane, wait)

    async def _prepare(self) -> None:
        for link in (self.publishing, self.probing, self._consuming):
            await link.prepare()

    async def close(self) -> None:
        """Drop all connections."""
        try:
            await self._signals.close()
        finally:
            for link in (self._consuming, self.probing, self.publishing):
                await link.disconnect()


class _Signals:
    """One LISTEN connection for all lanes; BullMQ itself would hold one for each."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._events = {lane.queue_name: asyncio.Event() for lane in Lane}
        self._listening: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[psycopg.AsyncConnection] | None = None

    def start(self) -> None:
        """Begin to listen, once."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())

    async def wait(self, lane: Lane, seconds: float) -> None:
        """Return when the lane was notified since the last call, or after `seconds`."""
        event = self._events[lane.queue_name]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        event.clear()

    async def close(self) -> None:
        """Stop listening."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await end(listening, self._hang_up)

    async def _listen(self) -> None:
        while True:
            # The consuming loops report a database that does not answer; here it only costs latency.
            with contextlib.suppress(psycopg.Error, OSError):
                self._connecting = asyncio.create_task(psycopg.AsyncConnection.connect(self._conninfo, autocommit=True))
                connection = await asyncio.shield(self._connecting)
                try:
                    await self._dispatch(connection)
                finally:
                    await connection.close()
            await asyncio.sleep(_REST)

    async def _dispatch(self, connection: psycopg.AsyncConnection) -> None:
        await connection.execute("LISTEN bullmq_jobs")
        self._wake_all()
        async for notification in connection.notifies():
            # The channel is the database's, not the schema's: other queues are heard, too.
            if (event := self._events.get(notification.payload)) is not None:
                event.set()

    def _wake_all(self) -> None:
        # What was notified while nobody listened is lost.
        for event in self._events.values():
            event.set()

    async def _hang_up(self) -> None:
        connecting = self._connecting
        if connecting is None:
            return
        # Cancelled midway, psycopg leaves the socket to the garbage collector, and the server with a client that says
        # nothing for the minute of its authentication_timeout.
        await asyncio.wait({connecting}, timeout=_LAST_CONNECT)
        if not connecting.done():
            await cancel(connecting)
        elif connecting.exception() is None:
            await connecting.result().close()


def schema_name(prefix: str) -> str:
    """Name the schema that keeps this prefix's queues apart; different prefixes never share one."""
    plain = re.sub(r"[^a-z0-9_]", "_", prefix.lower())[:40]
    if plain == prefix and not plain[:1].isdigit():
        return f"{plain}_queue"
    return f"q_{plain}_{digest(prefix)[:8]}_queue"
