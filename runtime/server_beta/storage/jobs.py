"""Generation jobs: every change is one guarded statement, fenced by the attempt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from ..domain.ids import ApiKeyId, EventId, JobId, ProjectId, SessionId, TeamId, new_id
from ..domain.jobs import Claim, JobStatus, Message, SourceType
from ..domain.records import Job
from . import records
from .database import Connection


async def get(connection: Connection, team_id: TeamId, job_id: JobId) -> Job | None:
    """Return a job of the team."""
    row = await connection.row("jobs/get", team_id, job_id)
    return records.job(row) if row else None


async def of_events(connection: Connection, team_id: TeamId, event_ids: Collection[EventId]) -> dict[UUID, Job]:
    """Return the newest job of each event that has one."""
    rows = await connection.rows("jobs/of_events", team_id, list(event_ids))
    return {row["source_id"]: records.job(row) for row in rows}


async def claim(connection: Connection, message: Message, who: str, lease: timedelta) -> Claim | None:
    """Take a queued job that is due; None when it is not this caller's to work on."""
    source_type = message.lane.source_type.value
    row = await connection.row(
        "jobs/claim", message.team_id, message.project_id, message.job_id, source_type, who, lease
    )
    return records.claim(row) if row else None


async def heartbeat(connection: Connection, claim: Claim, lease: timedelta) -> bool:
    """Extend a claim; false when it is lost."""
    return await connection.row("jobs/heartbeat", *_fence(claim), lease) is not None


async def complete(connection: Connection, claim: Claim, covered_events: int) -> bool:
    """Finish a claimed job; false when the claim is lost."""
    return await connection.row("jobs/complete", *_fence(claim), covered_events) is not None


async def is_outdone(connection: Connection, claim: Claim, covered_events: int) -> bool:
    """Whether another batch of the same turn, which had read more events than these, is done already."""
    row = await connection.row(
        "jobs/is_outdone", claim.team_id, claim.project_id, claim.session_id, claim.turn_key, covered_events
    )
    return row is not None


async def retry_or_fail(connection: Connection, claim: Claim, wait: timedelta | None, reason: str) -> JobStatus | None:
    """Schedule another attempt, or fail the job when `wait` is None or none is left; None when the claim is lost."""
    row = await connection.row("jobs/retry_or_fail", *_fence(claim), wait, reason)
    return JobStatus(row["status"]) if row else None


async def release(connection: Connection, claim: Claim) -> bool:
    """Give a claimed job back unspent; false when the claim is lost."""
    return await connection.row("jobs/release", *_fence(claim)) is not None


async def rescue(connection: Connection) -> Sequence[tuple[JobId, JobStatus, str | None]]:
    """Give back the jobs whose claimers went silent: (id, new status, request id)."""
    rows = await connection.rows("jobs/rescue")
    return [(row["id"], JobStatus(row["status"]), row["request_id"]) for row in rows]


async def unpublished(connection: Connection, grace: timedelta, patience: timedelta, most: int) -> Sequence[Message]:
    """Return due jobs that were never published, or so long ago that the transport must have lost them."""
    return [records.message(row) for row in await connection.rows("jobs/unpublished", grace, patience, most)]


async def mark_enqueued(connection: Connection, messages: Sequence[Message]) -> int:
    """Note that these were published; returns how many of them are jobs of the tenant that they name."""
    return await connection.run(
        "jobs/mark_enqueued",
        [message.team_id for message in messages],
        [message.project_id for message in messages],
        [message.job_id for message in messages],
        [message.attempt for message in messages],
        [message.transport_id for message in messages],
    )


async def queue_summary(
    connection: Connection,
    team_id: TeamId,
    project_id: ProjectId,
    session_id: UUID,
    *,
    after: UUID,
    key_id: ApiKeyId | None,
    request_id: str | None,
) -> Message | None:
    """Queue a session's summary after a batch or an event; None when one is waiting, or this one was queued before."""
    row = await connection.row(
        "jobs/queue_summary", new_id(), team_id, project_id, session_id, after, request_id, key_id
    )
    return records.message(row) if row else None


async def last_event_of_session(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId
) -> EventId | None:
    """Return the newest event that a summary would be about."""
    row = await connection.row("jobs/last_event_of_session", team_id, project_id, session_id)
    return row["id"] if row else None


async def summary_of_state(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId, last: EventId
) -> Job | None:
    """Return the summary that knows a session's last event, or will when it is made."""
    row = await connection.row("jobs/summary_of_state", team_id, project_id, session_id, last)
    return records.job(row) if row else None


async def open_of_project(
    connection: Connection, team_id: TeamId, project_id: ProjectId, recent: timedelta
) -> JobId | None:
    """Return a job of the project that was queued just now and is not done."""
    row = await connection.row("jobs/open_of_project", team_id, project_id, recent)
    return row["id"] if row else None


async def counts(connection: Connection) -> dict[tuple[SourceType, JobStatus], int]:
    """Count the jobs that are not done, by source and status."""
    rows = await connection.rows("jobs/counts")
    return {(SourceType(row["source_type"]), JobStatus(row["status"])): row["jobs"] for row in rows}


async def backlog(connection: Connection, most: int) -> int:
    """Count the due jobs that were never published, up to `most`."""
    row = await connection.row("jobs/backlog", most)
    return int(row["jobs"]) if row else 0


def _fence(claim: Claim) -> tuple[TeamId, ProjectId, JobId, int]:
    return claim.team_id, claim.project_id, claim.job_id, claim.attempt
