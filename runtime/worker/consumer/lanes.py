"""Work off the queue, job by job, whenever there is something in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from ..domain.ports import Clock
from ..services.generate import Generate
from ..services.jobs import Jobs

# Every new job wakes the consumer; this bounds how long a clock that was set back can hold up a retry.
EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ConsumeLanes:
    """Hands what is due to generation."""

    generate: Generate
    jobs: Jobs
    clock: Clock

    async def run(self) -> timedelta | None:
        """Work on one job; returns how long nothing will be due, None for as long as nobody asks."""
        if await self.generate.run_next():
            return timedelta()
        due_at = await self.jobs.next_due_at()
        return None if due_at is None else max(due_at - self.clock.now(), timedelta())
