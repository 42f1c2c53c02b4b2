"""Tells those who wait for a project that something of it was generated."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from ..domain.ids import ProjectId


class Signals:
    """Wakes waiters in this process, which is the only one."""

    def __init__(self) -> None:
        self._waiters: defaultdict[ProjectId, set[asyncio.Event]] = defaultdict(set)

    def generated(self, project_id: ProjectId) -> None:
        """Wake everyone who waits for this project."""
        for waiter in self._waiters.get(project_id, ()):
            waiter.set()

    async def wait(self, project_id: ProjectId, seconds: float) -> None:
        """Return when something of the project was generated, or after the time."""
        waiter = asyncio.Event()
        self._waiters[project_id].add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter.wait()
        except TimeoutError:
            return
        finally:
            self._waiters[project_id].discard(waiter)
            if not self._waiters[project_id]:
                del self._waiters[project_id]
