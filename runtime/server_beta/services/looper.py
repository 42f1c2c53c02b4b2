"""One lifecycle for every background loop: start, stop, wake, and a step that a test can call by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import structlog

from ..domain.errors import Unavailable

log = structlog.get_logger()


class Looper:
    """Calls `step` when woken, and at the latest every `interval`; a failing step is logged and tried again."""

    def __init__(self, name: str, step: Callable[[], Awaitable[object]], interval: timedelta) -> None:
        self.name = name
        self._step = step
        self._interval = interval.total_seconds()
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
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._woken.wait()
            self._woken.clear()
            if self._stopping:
                return
            try:
                await self._step()
            except Unavailable:
                log.warning("a background step found the database away", action="step_unavailable", loop=self.name)
            except Exception as error:
                log.error("a background step failed", action="step_failed", loop=self.name, error=type(error).__name__)
