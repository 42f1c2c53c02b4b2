"""Close the turns that never said so: those of a client that died."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from ..domain.ports import Clock
from ..storage import turns
from ..storage.connection import Connection
from ..storage.database import Database
from .ingest import queue_turn

EVERY = timedelta(seconds=15)
_IDLE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class CloseTurns:
    """Asks for the observations of each turn in which nothing has happened for a while."""

    database: Database
    clock: Clock
    wake: Callable[[], None]
    idle: timedelta = _IDLE

    async def run(self) -> None:
        """Close what is idle; late events open nothing, they have the turn generated anew."""
        now = self.clock.now()
        if not await self.database.read(lambda connection: turns.idle(connection, now - self.idle)):
            return

        def close(connection: Connection) -> None:
            for turn in turns.idle(connection, now - self.idle):
                queue_turn(connection, turn, now)

        await self.database.write(close)
        self.wake()
