"""What other processes say over Postgres: one LISTEN connection for all channels, made again whenever it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg
import structlog

from .statements import statement

log = structlog.get_logger()

# The channels, each with the place that sends on it.
CHANGES = "claude_mem_changes"  # storage/migrations/0010_changes.sql

_CONNECT_SECONDS = 5.0
_SHORTEST_REST = 0.1
_LONGEST_REST = 5.0
# Nothing is said for hours, perhaps; a server that vanished without a word is noticed within their sum.
_BEAT_SECONDS = 5.0
_PATIENCE_SECONDS = 2.0
_CLOSE_SECONDS = 0.5
_SESSION = {"application_name": "claude-mem listener", "jit": "off"}

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Ear:
    """Who listens on a channel: `heard` takes each payload, `missed` is called when some may have been lost."""

    heard: Callable[[str], None]
    missed: Callable[[], None]


class Listener:
    """Hands on what is said on its channels; a notification is a hint, and what it hints at is in the tables."""

    def __init__(self, dsn: str) -> None:
        self.is_listening = False
        self._dsn = dsn
        self._ears: dict[str, Ear] = {}
        self._task: asyncio.Task[None] | None = None

    def listen(self, channel: str, heard: Callable[[str], None], missed: Callable[[], None]) -> None:
        """Listen on a channel from the start on; one ear a channel."""
        self._ears[channel] = Ear(heard, missed)

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.create_task(self._run(), name="listen")

    async def stop(self) -> None:
        """Hear no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        rest = _SHORTEST_REST
        while True:
            # Whatever the reason, what is said meanwhile is found in the tables; health tells that nobody listens.
            with suppress(Exception):
                connection = await asyncpg.connect(
                    self._dsn, timeout=_CONNECT_SECONDS, command_timeout=_PATIENCE_SECONDS, server_settings=_SESSION
                )
                try:
                    await self._open_ears(connection)
                    rest = _SHORTEST_REST
                    await _until_lost(connection)
                finally:
                    self._lost()
                    await _hang_up(connection)
            await asyncio.sleep(rest)
            rest = min(2 * rest, _LONGEST_REST)

    async def _open_ears(self, connection: _Connection) -> None:
        for channel, ear in self._ears.items():
            await connection.add_listener(channel, _hand_on(ear))
        self.is_listening = True
        log.info("listens for changes of other processes", action="listening")
        for ear in self._ears.values():
            ear.missed()

    def _lost(self) -> None:
        if self.is_listening:
            log.warning("does not hear of changes of other processes at the moment", action="listening_lost")
        self.is_listening = False


def _hand_on(ear: Ear) -> Callable[[object, int, str, object], None]:
    def hand_on(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        ear.heard(str(payload))

    return hand_on


async def _until_lost(connection: _Connection) -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())
    while not connection.is_closed():
        with suppress(TimeoutError):
            async with asyncio.timeout(_BEAT_SECONDS):
                await lost.wait()
                return
        await connection.execute(statement("health/beat"))


async def _hang_up(connection: _Connection) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await connection.close()
    except Exception:
        connection.terminate()
