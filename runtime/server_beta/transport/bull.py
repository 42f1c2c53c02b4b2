"""The only module that touches the library `bullmq`: it is untyped, and no `Any` leaves here.

The library's own worker loop (`Worker.run`) is not used. Its `close()` spins for ever while the backend is down, drops
a job that was being fetched at that moment, and hides connection errors; so `LaneConsumer` runs the loop over the
primitives below, the way BullMQ documents manual processing, and only fetching, locks and scripts are the library's.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import structlog
from bullmq import Job, Queue, Worker

from ..domain.jobs import Lane, Message
from ..domain.ports import LaneCounts
from . import payload
from .deadline import HangUp

LOCK = 30.0
STALLED_CHECK = 15.0

# A job that stalls more often is not dropped by us: whether it may run again is the row's decision.
_MAX_STALLED = 1

# One attempt, and nothing kept: BullMQ silently drops an id that it still knows, waiting, active or finished.
_JOB_OPTIONS = {"attempts": 1, "removeOnComplete": True, "removeOnFail": True}

Wait = Callable[[], Awaitable[None]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A BullMQ job that this process holds the lock of; `payload` is whatever JSON value it carries."""

    id: str
    token: str
    payload: object
    job: object = field(repr=False)


class Link:
    """One connection (on Redis: one pool) to the backend, and what BullMQ can do over it on every lane."""

    def __init__(self, options: Mapping[str, object], *, cancellable: bool) -> None:
        self._options = dict(options)
        self._cancellable = cancellable
        self._queues: dict[Lane, Any] = {lane: Queue(lane.queue_name, dict(options)) for lane in Lane}
        # Each queue came with a connection of its own, not opened yet: all of them shall use the first one's.
        self._backend: Any = self._queues[Lane.EVENT].backend
        for lane, queue in self._queues.items():
            queue.backend = self._backend.forQueue(lane.queue_name)

    async def prepare(self) -> None:
        """Connect, and on Postgres bring BullMQ's own schema up to date, one process at a time."""
        await self._backend.waitUntilReady()

    async def ping(self) -> None:
        """Make one cheap round trip that touches the queue's own data."""
        await self._queues[Lane.EVENT].isPaused()

    async def add(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Add the lane's messages in one round trip; an id that BullMQ still knows is dropped silently."""
        queue = self._queues[lane]
        if len(messages) == 1:
            # On Postgres a bulk of one costs two temporary tables.
            await queue.add(lane.value, payload.dump(messages[0]), _options(messages[0]))
            return
        await queue.addBulk(
            [{"name": lane.value, "data": payload.dump(message), "opts": _options(message)} for message in messages]
        )

    async def remove(self, lane: Lane, messages: Sequence[Message]) -> None:
        """Remove the lane's messages; one whose lock is held, or that BullMQ does not know, stays as it is."""
        for message in messages:
            await self._queues[lane].remove(message.transport_id, {"removeChildren": False})

    async def count(self, lane: Lane) -> LaneCounts:
        """Count the lane's messages by state."""
        states = ("waiting", "paused", "prioritized", "active", "completed", "failed", "delayed")
        counts = await self._queues[lane].getJobCounts(*states)
        return LaneCounts(
            lane=lane,
            waiting=int(counts["waiting"]) + int(counts["paused"]) + int(counts["prioritized"]),
            active=int(counts["active"]),
            completed=int(counts["completed"]),
            failed=int(counts["failed"]),
            delayed=int(counts["delayed"]),
        )

    async def block(self, lane: Lane, seconds: float) -> None:
        """Wait on the backend until the lane may have a message, at most `seconds`."""
        await self._queues[lane].backend.waitForJob(seconds)

    def source(self, lane: Lane, wait: Wait) -> LaneSource:
        """Open the lane for consuming; `wait` returns when there may be a message to fetch."""
        worker = Worker(lane.queue_name, None, {**self._options, "autorun": False, "lockDuration": int(LOCK * 1000)})
        worker.backend = self._queues[lane].backend
        return LaneSource(lane, worker, wait, self.hang_up)

    async def hang_up(self) -> None:
        """Cut off what runs on this link, where cancelling it would have to wait for the server."""
        if not self._cancellable:
            await self.disconnect()

    async def disconnect(self) -> None:
        """Drop the connection with whatever runs on it; the next operation connects again."""
        await self._backend.close()


class LaneSource:
    """The consuming end of one lane: fetch, keep the lock, settle."""

    def __init__(self, lane: Lane, worker: Any, wait: Wait, hang_up: HangUp) -> None:
        self.lane = lane
        self.wait = wait
        self.hang_up = hang_up
        self._worker = worker
        self._name = uuid4().hex
        self._fetched = 0
        worker.on("error", self._note)

    def start(self) -> None:
        """Begin to renew the locks of what is fetched."""
        self._worker.lockManager.start()

    async def fetch(self) -> Delivery | None:
        """Lock the lane's next job; None when there is none."""
        self._fetched += 1
        token = f"{self._name}:{self._fetched}"
        data, job_id, *_ = await self._worker.backend.moveToActive(token, self._worker.opts) or (None, "")
        if not data:
            return None
        try:
            job = Job.fromJSON(self._worker, data, job_id)
        except (ValueError, TypeError, AttributeError):
            # Not written by any BullMQ. It is locked already, and has to be settled to get rid of it.
            job = Job(self._worker, self.lane.value, None, {})
            job.id = job_id
        self._worker.lockManager.track_job(job.id, token, int(time.time() * 1000))
        return Delivery(str(job.id), token, job.data, job)

    async def settle(self, delivery: Delivery) -> None:
        """Remove the job from BullMQ and stop renewing its lock, however its handling went."""
        job: Any = delivery.job
        job.opts.update(_JOB_OPTIONS)
        try:
            await job.moveToCompleted(None, delivery.token)
        finally:
            self._worker.lockManager.untrack_job(job.id)

    async def recover_stalled(self) -> int:
        """Put jobs back whose consumer died holding them; returns how many this call put back."""
        return len(await self._worker.backend.moveStalledJobsToWait(_MAX_STALLED, int(STALLED_CHECK * 1000)))

    async def close(self) -> None:
        """Stop renewing locks."""
        await self._worker.lockManager.close()

    def _note(self, error: object, *_: object) -> None:
        # Called from inside the library, where an exception would end its lock renewal.
        log.debug("BullMQ could not renew a lock", action="queue.lock", lane=self.lane, error=type(error).__name__)


def _options(message: Message) -> dict[str, object]:
    return {**_JOB_OPTIONS, "jobId": message.transport_id}
