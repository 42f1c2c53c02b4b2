"""One lane's consumer: takes a message whenever a slot is free, and gives it to the handler."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import structlog

from ..domain.jobs import Lane
from ..domain.ports import Handler
from .bull import STALLED_CHECK, Delivery, LaneSource
from .deadline import cancel, end, within
from .payload import parse

# How long the loop rests after the backend failed: short, so that work resumes within a second of its return.
_FIRST_REST = 0.05
_LONGEST_REST = 0.5

# What the loops have under way when closing begins may take this long. Cut off, a fetch might leave a job locked that
# nobody knows of, and psycopg might leave a connection half open.
_LAST_OPERATION = 0.5
# What a cancelled handler may take to unwind and its message to be settled.
_UNWIND = 2.0
_SETTLE = 5.0
_LAST_SETTLE = 1.0

_T = TypeVar("_T")

log = structlog.get_logger()


class LaneConsumer:
    """Runs one lane until closed; nothing that a backend, a payload or a handler does ends it."""

    def __init__(self, source: LaneSource, handler: Handler, concurrency: int) -> None:
        self.stalled = 0
        self._source = source
        self._handler = handler
        self._slots = asyncio.Semaphore(concurrency)
        self._running: set[asyncio.Task[None]] = set()
        self._fetching: asyncio.Task[Delivery | None] | None = None
        self._recovering: asyncio.Task[int] | None = None
        self._settle_seconds = _SETTLE
        self._failing = False
        source.start()
        self._loops = (asyncio.create_task(self._consume()), asyncio.create_task(self._recover()))

    @property
    def lane(self) -> Lane:
        """The lane that is consumed."""
        return self._source.lane

    async def close(self, grace: timedelta) -> None:
        """Take no more messages, wait for running handlers up to `grace`, then cancel them."""
        deadline = asyncio.get_running_loop().time() + grace.total_seconds()
        try:
            await self._stop_loops()
            await self._finish_handlers(deadline - asyncio.get_running_loop().time())
        finally:
            with contextlib.suppress(TimeoutError):
                await within(_LAST_OPERATION, self._source.close(), self._source.hang_up)

    async def _consume(self) -> None:
        while True:
            await self._slots.acquire()
            self._start(await self._next())

    async def _next(self) -> Delivery:
        rest = _FIRST_REST
        while True:
            try:
                delivery = await self._fetch()
                if delivery is None:
                    await self._source.wait()
            except Exception as error:
                self._note_failure(error)
                await asyncio.sleep(rest)
                rest = min(rest * 2, _LONGEST_REST)
            else:
                self._note_success()
                rest = _FIRST_REST
                if delivery is not None:
                    return delivery

    async def _fetch(self) -> Delivery | None:
        self._fetching = asyncio.create_task(self._source.fetch())
        delivery = await asyncio.shield(self._fetching)
        self._fetching = None
        return delivery

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._deliver(delivery))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._slots.release()

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._handle(delivery)
        except Exception as error:
            self._note_handler(delivery, error)
        finally:
            await self._settle(delivery)

    async def _handle(self, delivery: Delivery) -> None:
        message = parse(delivery.payload, self.lane)
        if message is None:
            log.warning(
                "A message that cannot be read is dropped",
                action="queue.bad_payload",
                lane=self.lane,
                job_id=delivery.id,
            )
            return
        await self._handler(message)

    async def _settle(self, delivery: Delivery) -> None:
        try:
            await within(self._settle_seconds, self._source.settle(delivery), self._source.hang_up)
        except Exception as error:
            # The backend lost the job or does not answer; at worst it is delivered again, and the row says "not yours".
            log.debug(
                "A message could not be settled",
                action="queue.settle_failed",
                lane=self.lane,
                job_id=delivery.id,
                error=type(error).__name__,
            )

    async def _recover(self) -> None:
        while True:
            # The consuming loop reports a backend that does not answer.
            with contextlib.suppress(Exception):
                self._recovering = asyncio.create_task(self._source.recover_stalled())
                self.stalled += await asyncio.shield(self._recovering)
            await asyncio.sleep(STALLED_CHECK)

    async def _stop_loops(self) -> None:
        await asyncio.gather(*map(cancel, self._loops))
        for operation in (self._recovering, self._fetching):
            if operation is not None:
                await self._finish(operation)
        if self._fetching is not None and (delivery := _result(self._fetching)) is not None:
            self._start(delivery)

    async def _finish(self, operation: asyncio.Task[_T]) -> None:
        _, unfinished = await asyncio.wait({operation}, timeout=_LAST_OPERATION)
        if unfinished:
            await end(operation, self._source.hang_up)

    async def _finish_handlers(self, seconds: float) -> None:
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=max(0.0, seconds))
        if not late:
            return
        self._settle_seconds = _LAST_SETTLE
        for task in late:
            task.cancel()
        _, stuck = await asyncio.wait(late, timeout=_UNWIND)
        if stuck:
            log.error(
                "Handlers ignore that they were cancelled; left behind",
                action="queue.handlers_stuck",
                lane=self.lane,
                count=len(stuck),
            )

    def _note_handler(self, delivery: Delivery, error: Exception) -> None:
        # Never the exception's message: it may quote what was being handled.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        log.error(
            "The handler failed; its message is dropped",
            action="queue.handler_failed",
            lane=self.lane,
            job_id=delivery.id,
            error=type(error).__name__,
            at=f"{Path(frame.filename).name}:{frame.lineno}",
        )

    def _note_failure(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            log.warning(
                "The queue does not answer; trying on",
                action="queue.lost",
                lane=self.lane,
                error=type(error).__name__,
            )

    def _note_success(self) -> None:
        if self._failing:
            self._failing = False
            log.info("The queue answers again", action="queue.found", lane=self.lane)


def _result(task: asyncio.Task[_T]) -> _T | None:
    if task.done() and not task.cancelled() and task.exception() is None:
        return task.result()
    return None
