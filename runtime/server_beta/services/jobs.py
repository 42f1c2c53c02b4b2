"""Read jobs and wait for them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from ..domain.errors import NotFound
from ..domain.ids import JobId
from ..domain.principals import Principal, Scope
from ..domain.records import Job
from ..storage import jobs
from ..storage.database import Database
from .signals import Signals

# A job may be worked on by another process, whose signals do not arrive here: look again this often.
_LOOK_AGAIN = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Jobs:
    """The generation jobs of the caller's projects."""

    database: Database
    signals: Signals

    async def get(self, principal: Principal, job_id: JobId) -> Job:
        """Return one job; raises NotFound when the caller does not see it."""
        principal.require(Scope.JOBS_READ)
        return await self._visible(principal, job_id)

    async def wait(self, principal: Principal, job_id: JobId, at_most: timedelta) -> Job:
        """Return the job once it is over, or as it stands when the time is or this process stops."""
        deadline = time.monotonic() + at_most.total_seconds()
        while True:
            job = await self._visible(principal, job_id)
            left = timedelta(seconds=deadline - time.monotonic())
            if job.status.is_terminal or left <= timedelta() or self.signals.is_closed:
                return job
            await self.signals.wait(job_id, min(left, _LOOK_AGAIN))

    async def _visible(self, principal: Principal, job_id: JobId) -> Job:
        async with self.database.connection() as connection:
            job = await jobs.get(connection, principal.team_id, job_id)
        if job is None:
            raise NotFound
        principal.require_project(job.project_id)
        return job
