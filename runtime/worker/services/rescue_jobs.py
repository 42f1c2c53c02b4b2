"""Give back the jobs of a holder that went silent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from ..domain.ports import Clock
from ..storage import jobs
from ..storage.database import Database

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class RescueJobs:
    """Finds claimed jobs that nobody works on any more."""

    database: Database
    clock: Clock
    wake: Callable[[], None]

    async def run(self) -> None:
        """Give back what has outlived its lease."""
        now = self.clock.now()
        self._report(await self.database.write(lambda connection: jobs.rescue(connection, before=now, now=now)))

    async def run_at_start(self) -> None:
        """Give back every claimed job: this process holds the data folder, so that its claimer is gone."""
        now = self.clock.now()
        self._report(await self.database.write(lambda connection: jobs.rescue(connection, before=None, now=now)))

    def _report(self, rescued: int) -> None:
        if rescued:
            log.warning("gave back jobs whose holder went silent", extra={"action": "jobs_rescued", "jobs": rescued})
            self.wake()
