"""Close the turns that never said so: a client that died, or an event that came while its batch was being read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ..storage import events
from ..storage.database import Database
from .relay import Relay

EVERY = timedelta(seconds=15)
_IDLE = timedelta(minutes=2)
# Longer than any client keeps a spool undelivered without one of its later sessions closing the turn.
_WINDOW = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class CloseTurns:
    """Queues a batch for each turn that is over and not generated."""

    database: Database
    relay: Relay
    idle: timedelta = _IDLE

    async def run(self) -> int:
        """Queue what is missing; returns how many batches that were."""
        async with self.database.connection() as connection:
            messages = await events.queue_uncovered_turns(connection, self.idle, _WINDOW)
        self.relay.offer(messages)
        return len(messages)
