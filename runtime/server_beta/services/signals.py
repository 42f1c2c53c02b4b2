"""Tells those who wait for a job that it is over."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from uuid import UUID


class Signals:
    """Wakes waiters: what other processes finish is heard from Postgres; what was missed is found by looking again."""

    def __init__(self) -> None:
        self._waiters: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self.is_closed = False

    def finished(self, job_id: UUID) -> None:
        """Wake everyone who waits for this job."""
        for waiter in self._waiters.get(job_id, ()):
            waiter.set()

    def look_again(self) -> None:
        """Wake everyone once, because notifications may have been missed: who finds nothing waits again."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.set()

    def close(self) -> None:
        """Wake everyone for good, because this process stops: nobody may hold it up with waiting."""
        self.is_closed = True
        self.look_again()

    async def wait(self, job_id: UUID, at_most: timedelta) -> None:
        """Return when the job is finished, when it is worth looking at it again, or after the time."""
        waiter = asyncio.Event()
        self._waiters[job_id].add(waiter)
        try:
            async with asyncio.timeout(at_most.total_seconds()):
                await waiter.wait()
        except TimeoutError:
            return
        finally:
            self._waiters[job_id].discard(waiter)
            if not self._waiters[job_id]:
                del self._waiters[job_id]
