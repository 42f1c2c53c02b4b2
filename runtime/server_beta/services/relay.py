"""The relay: publishes the ids of stored jobs, and finds those that were never published or were lost on the way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from ..domain.errors import Unavailable
from ..domain.jobs import Message
from ..domain.ports import JobTransport
from ..storage import jobs
from ..storage.database import Database
from .looper import Looper

log = structlog.get_logger()

_MOST_AT_ONCE = 500
# A job stored by this process is offered at once; the sweep leaves it alone for this long.
_GRACE = timedelta(seconds=1)
# A published job that nobody claimed for this long was lost by the transport, or its consumers are behind: publishing
# it again is harmless, because the transport drops ids that it still has.
_PATIENCE = timedelta(seconds=30)
_SWEEP_EVERY = timedelta(seconds=2)
_RESCUE_EVERY = timedelta(seconds=5)


class Relay:
    """Carries job ids from the rows to the transport, never on a request's path."""

    def __init__(self, database: Database, transport: JobTransport) -> None:
        self._database = database
        self._transport = transport
        self._offered: list[Message] = []
        self.is_publishing = True
        self._publisher = Looper("publish", self.publish_offered, timedelta(hours=1))
        self._sweeper = Looper("sweep", self.sweep, _SWEEP_EVERY)
        self._rescuer = Looper("rescue", self.rescue, _RESCUE_EVERY)

    def start(self) -> None:
        """Begin to publish; the first sweep takes up what an earlier process left behind."""
        for looper in (self._publisher, self._sweeper, self._rescuer):
            looper.start()

    async def stop(self, seconds: float) -> None:
        """Publish what was offered, then end."""
        await self._rescuer.stop(seconds)
        await self._sweeper.stop(seconds)
        await self._publisher.stop(seconds)

    def offer(self, messages: Sequence[Message]) -> None:
        """Publish these soon; they are stored already, so nothing is lost when this process ends before."""
        if messages:
            self._offered.extend(messages)
            self._publisher.wake()

    async def publish_offered(self) -> None:
        """Publish everything that was offered since the last call."""
        offered, self._offered = self._offered, []
        for start in range(0, len(offered), _MOST_AT_ONCE):
            await self._publish(offered[start : start + _MOST_AT_ONCE])

    async def sweep(self) -> int:
        """Publish due jobs that the transport does not know of; returns how many it found."""
        async with self._database.connection() as connection:
            messages = await jobs.unpublished(connection, _GRACE, _PATIENCE, _MOST_AT_ONCE)
        if messages and await self._publish(messages) and len(messages) == _MOST_AT_ONCE:
            self._sweeper.wake()
        return len(messages)

    async def rescue(self) -> None:
        """Give back the jobs of consumers that went silent."""
        async with self._database.connection() as connection:
            rescued = await jobs.rescue(connection)
        for job_id, status, request_id in rescued:
            log.warning(
                "gave back a job whose consumer went silent",
                action="job_rescued",
                job_id=str(job_id),
                status=status.value,
                request_id=request_id,
            )
        if rescued:
            self._sweeper.wake()

    async def _publish(self, messages: Sequence[Message]) -> bool:
        try:
            await self._transport.publish(messages)
        except Unavailable:
            if self.is_publishing:
                log.warning("the queue does not answer; jobs stay stored and follow later", action="queue_unavailable")
            self.is_publishing = False
            return False
        self.is_publishing = True
        async with self._database.connection() as connection:
            await jobs.mark_enqueued(connection, messages)
        return True
