"""Read jobs, wait for them, retry and cancel them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ..domain.errors import Conflict, NotFound
from ..domain.ids import JobId
from ..domain.jobs import JobChange, JobFilter, JobSource, JobStatus
from ..domain.principals import Principal, Scope
from ..domain.records import Job, Transport
from ..storage import audit, job_operations, jobs
from ..storage.database import Connection, Database
from .relay import Relay
from .signals import Signals
from .visibility import require_project, require_session

# A job may be worked on by another process, whose signals do not arrive here: look again this often.
_LOOK_AGAIN = timedelta(milliseconds=500)
_MOST_CHANGES = 500
# Payloads are as large as their senders like: an answer holds what fits.
_MOST_PAYLOAD_BYTES = 8_000_000
_MOST_EVENTS_OF_ONE = 500
_MOST_EVENTS_OF_EACH = 20
_NO_RETRY = {
    JobStatus.PROCESSING: "The job is being worked on; wait for its end, or cancel it first.",
    JobStatus.COMPLETED: "The job is completed; there is nothing to try again.",
}

Payloads = Mapping[JobId, Sequence[JobSource]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of jobs, newest first.

    `total` counts those of all pages; None on a page that a cursor led to. `payloads` is None unless asked for.
    """

    jobs: Sequence[Job]
    has_more: bool
    total: int | None
    payloads: Payloads | None


@dataclass(frozen=True, slots=True)
class Detail:
    """A job and what happened to it; `sources` is None unless the payloads were asked for."""

    job: Job
    changes: Sequence[JobChange]
    sources: Sequence[JobSource] | None


@dataclass(frozen=True, slots=True)
class Retry:
    """A retried job, how often it was retried so far, and whether it had been queued all along."""

    job: Job
    transport: Transport
    times: int
    was_queued: bool


@dataclass(frozen=True, slots=True)
class Jobs:
    """The generation jobs of the caller's projects."""

    database: Database
    signals: Signals
    relay: Relay

    async def get(self, principal: Principal, job_id: JobId, *, with_payload: bool = False) -> Detail:
        """Return one job; raises NotFound when the caller does not see it. Payloads are for `admin` alone."""
        _allow(principal, with_payload)
        async with self.database.connection() as connection:
            job = await _visible(connection, principal, job_id)
            changes = await job_operations.history(connection, job, _MOST_CHANGES)
            payloads = await _payloads(connection, [job], _MOST_EVENTS_OF_ONE) if with_payload else None
        return Detail(job, changes, None if payloads is None else payloads.get(job.id, ()))

    async def list(self, principal: Principal, wanted: JobFilter, *, with_payload: bool = False) -> Page:
        """Return a page, newest first; raises NotFound for a project that the caller does not see."""
        _allow(principal, with_payload)
        narrowed = replace(wanted, project_id=wanted.project_id or principal.project_id, limit=wanted.limit + 1)
        async with self.database.connection() as connection:
            await require_project(connection, principal, wanted.project_id)
            await require_session(connection, principal, wanted.session_id)
            found = await job_operations.list_filtered(connection, principal.team_id, narrowed)
            page = found[: wanted.limit]
            total = await job_operations.count(connection, principal.team_id, narrowed) if not wanted.after else None
            payloads = await _payloads(connection, page, _MOST_EVENTS_OF_EACH) if with_payload else None
        return Page(page, len(found) > wanted.limit, total, payloads)

    async def wait(self, principal: Principal, job_id: JobId, at_most: timedelta) -> Job:
        """Return the job once it is over, or as it stands when the time is or this process stops."""
        deadline = time.monotonic() + at_most.total_seconds()
        while True:
            async with self.database.connection() as connection:
                job = await _visible(connection, principal, job_id)
            left = timedelta(seconds=deadline - time.monotonic())
            if job.status.is_terminal or left <= timedelta() or self.signals.is_closed:
                return job
            await self.signals.wait(job_id, min(left, _LOOK_AGAIN))

    async def retry(self, principal: Principal, job_id: JobId, request_id: str | None) -> Retry:
        """Queue a failed or cancelled job again, with at least one attempt left, and publish it; a queued one is
        published again, in case the queue has lost it.

        From now on the caller's key answers for the job: it is refused when that one is revoked. Raises Conflict for a
        job that is completed, or being worked on.
        """
        principal.require(Scope.JOBS_WRITE)
        async with self.database.transaction() as connection:
            job = await _held(connection, principal, job_id)
            retried = await job_operations.retry(
                connection,
                job.team_id,
                job.project_id,
                job.id,
                key_id=principal.key_id,
                request_id=request_id,
                actor=principal.actor,
            )
            if retried is None:
                raise NotFound
            if retried.stood in {JobStatus.PROCESSING, JobStatus.COMPLETED}:
                raise Conflict(_NO_RETRY[retried.stood])
            await _note(connection, principal, job, "job.retried", retried.stood, request_id)
            job = await _visible(connection, principal, job_id)
            times = await job_operations.times_retried(connection, job)
        self.relay.offer([retried.message])
        return Retry(
            job,
            transport="enqueued" if self.relay.is_publishing else "queued_only",
            times=times,
            was_queued=retried.stood is JobStatus.QUEUED,
        )

    async def cancel(self, principal: Principal, job_id: JobId, request_id: str | None) -> tuple[Job, bool]:
        """Cancel a job that is not over; what its consumer answers later is dropped. Returns whether it was before.

        Raises Conflict for a job that is completed or failed.
        """
        principal.require(Scope.JOBS_WRITE)
        async with self.database.transaction() as connection:
            job = await _held(connection, principal, job_id)
            stood = await job_operations.cancel(connection, job.team_id, job.project_id, job.id, principal.actor)
            if stood is None:
                raise NotFound
            if stood in {JobStatus.COMPLETED, JobStatus.FAILED}:
                raise Conflict(f"The job has {stood.value} already; there is nothing to cancel.")
            if stood is not JobStatus.CANCELLED:
                await _note(connection, principal, job, "job.cancelled", stood, request_id)
            job = await _visible(connection, principal, job_id)
        self.signals.finished(job_id)
        return job, stood is JobStatus.CANCELLED


def _allow(principal: Principal, with_payload: bool) -> None:
    principal.require(Scope.ADMIN if with_payload else Scope.JOBS_READ)


async def _visible(connection: Connection, principal: Principal, job_id: JobId) -> Job:
    job = await jobs.get(connection, principal.team_id, job_id)
    if job is None:
        raise NotFound
    principal.require_project(job.project_id)
    return job


async def _held(connection: Connection, principal: Principal, job_id: JobId) -> Job:
    job = await _visible(connection, principal, job_id)
    if not await job_operations.hold_tenant(connection, job.team_id, job.project_id):
        raise NotFound
    return job


async def _payloads(connection: Connection, found: Sequence[Job], of_each: int) -> Payloads:
    if not found:
        return {}
    return await job_operations.payloads(
        connection,
        found[0].team_id,
        [job.id for job in found],
        of_each=of_each,
        most_bytes=_MOST_PAYLOAD_BYTES,
    )


async def _note(
    connection: Connection, principal: Principal, job: Job, action: str, stood: JobStatus, request_id: str | None
) -> None:
    await audit.record(
        connection,
        principal,
        job.project_id,
        action=action,
        resource_type="job",
        resource_id=job.id,
        request_id=request_id,
        details={"stood": stood.value},
    )
