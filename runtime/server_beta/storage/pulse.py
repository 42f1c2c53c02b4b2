"""The database's pulse: whether the server answers, found out before anybody has to wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import asyncpg
import structlog

from .statements import statement

log = structlog.get_logger()

_BEAT_SECONDS = 0.4
# Together with the beat less than the two seconds within which every request is answered and readiness follows.
_PATIENCE_SECONDS = 1.2
_RETRY_SECONDS = 0.2
_LAST_LOOK_SECONDS = 0.05
_CLOSE_SECONDS = 0.5

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Pulse:
    """Asks the server more than twice a second, on a connection of its own, for nothing.

    Whoever waits for a server that hangs cannot tell it from one that works on a long statement, so the time limit of
    a statement has to be long. The limit of this question is short; when it has passed, all who wait are told.
    """

    def __init__(self, connect: Callable[[], Awaitable[_Connection]], on_loss: Callable[[], None]) -> None:
        self.is_lost = False
        self._connect = connect
        self._on_loss = on_loss
        self._connection: _Connection | None = None
        self._heard_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.create_task(self._run(), name="pulse")

    async def stop(self) -> None:
        """Ask no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await connection.close(timeout=0 if self.is_lost else _CLOSE_SECONDS)

    def heard(self) -> None:
        """Note that the server has answered somebody else: it is busy, not gone."""
        self._heard_at = time.monotonic()

    async def _run(self) -> None:
        while True:
            is_lost = not await self._answers()
            if is_lost != self.is_lost:
                self.is_lost = is_lost
                if is_lost:
                    log.error("the database does not answer", action="database_lost")
                    self._on_loss()
                else:
                    log.warning("the database answers again", action="database_found")
            await asyncio.sleep(_RETRY_SECONDS if is_lost else _BEAT_SECONDS)

    async def _answers(self) -> bool:
        asking = asyncio.create_task(self._ask())
        began = time.monotonic()
        try:
            while not asking.done():
                left = max(began, self._heard_at) + _PATIENCE_SECONDS - time.monotonic()
                if left <= 0:
                    break
                await asyncio.wait({asking}, timeout=left)
            # Where this process itself was too busy to look, the answer has been there for a while.
            await asyncio.wait({asking}, timeout=_LAST_LOOK_SECONDS)
            return asking.done() and asking.result()
        finally:
            if not asking.done():
                asking.cancel()
                self._hang_up()
                await asyncio.wait({asking})

    async def _ask(self) -> bool:
        if self._connection is not None:
            # Whatever is wrong with this connection, a new one tells whether it is the server.
            with suppress(Exception):
                await self._connection.execute(statement("health/beat"))
                return True
            self._hang_up()
        try:
            self._connection = await self._connect()
        except asyncpg.PostgresError as error:
            # One that has no place for us, or does not let us in any more, has answered.
            return not isinstance(error, (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError))
        except Exception:
            return False
        return True

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.terminate()
