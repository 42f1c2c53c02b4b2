"""Read generation jobs, and say when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..domain.errors import NotFound
from ..domain.ids import JobId
from ..domain.records import Job
from ..storage import jobs
from ..storage.database import Database


@dataclass(frozen=True, slots=True)
class Jobs:
    """The generation jobs."""

    database: Database

    async def get(self, job_id: JobId) -> Job:
        """Return one job; raises NotFound."""
        job = await self.database.read(lambda connection: jobs.get(connection, job_id))
        if job is None:
            raise NotFound
        return job

    async def next_due_at(self) -> datetime | None:
        """Return when the next waiting job is due; None when none waits."""
        return await self.database.read(jobs.next_due_at)
