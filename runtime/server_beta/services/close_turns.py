"""Close the turns that never said so: a client that died, or an event that came while its batch was being read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from ..storage import events
from ..storage.database import Database
from .relay import Relay

EVERY = timedelta(seconds=15)
_IDLE = timedelta(minutes=2)
# Longer than any client keeps a spool undelivered without one of its later sessions closing the turn.
_WINDOW = timedelta(days=7)
# That many events are a lot to read, and all but the newest stay as they were: once at the start and then once an hour.
_RECENT = timedelta(minutes=15)
_LOOKS_AN_HOUR = timedelta(hours=1) // EVERY


@dataclass(slots=True)
class CloseTurns:
    """Queues a batch for each turn that is over and not generated."""

    database: Database
    relay: Relay
    idle: timedelta = _IDLE
    _looks: int = field(default=0, init=False)

    async def run(self) -> int:
        """Queue what is missing; returns how many batches that were."""
        window = _WINDOW if self._looks % _LOOKS_AN_HOUR == 0 else self.idle + _RECENT
        async with self.database.connection() as connection:
            messages = await events.queue_uncovered_turns(connection, self.idle, window)
        self._looks += 1
        self.relay.offer(messages)
        return len(messages)
