"""One lifecycle for every background loop: start, stop, wake, and a step that a test can call by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from ..domain.errors import Unavailable

log = logging.getLogger(__name__)


class Looper:
    """Calls `step` whenever it is woken, and at the latest after `interval`; a failing step is logged and tried again.

    A step may return how long it can wait at most for the next one.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[timedelta | None]], interval: timedelta) -> None:
        self.name = name
        self._step = step
        self._interval = interval
        self._woken = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with a first step at once."""
        self._woken.set()
        self._task = asyncio.create_task(self._run(), name=self.name)

    def wake(self) -> None:
        """Ask for a step now; several calls before it begins ask for one."""
        self._woken.set()

    async def stop(self, seconds: float) -> None:
        """End after the running step, or cancel it when the time is over."""
        self._stopping = True
        self._woken.set()
        if self._task is None:
            return
        _, pending = await asyncio.wait({self._task}, timeout=seconds)
        for task in pending:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        wait = self._interval
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait.total_seconds()):
                    await self._woken.wait()
            self._woken.clear()
            if self._stopping:
                return
            wait = self._interval
            try:
                asked = await self._step()
                wait = self._interval if asked is None else min(asked, self._interval)
            except Unavailable:
                log.warning(
                    "a background step found the database away", extra={"action": "step_unavailable", "loop": self.name}
                )
            except Exception:
                log.exception("a background step failed", extra={"action": "step_failed", "loop": self.name})
