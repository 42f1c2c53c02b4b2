"""The queue: every change of a job is one guarded statement, fenced by the token of its claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ..domain.ids import JobId, ProjectId, SessionId, new_id
from ..domain.instants import from_milliseconds
from ..domain.jobs import Claim, JobStatus, SourceType
from ..domain.records import Job
from . import records
from .connection import Connection


@dataclass(frozen=True, slots=True)
class Count:
    """How many jobs of a source type stand in a status; delayed ones are queued for later."""

    source_type: SourceType
    status: JobStatus
    is_delayed: bool
    jobs: int


def queue(
    connection: Connection,
    project_id: ProjectId,
    session_id: SessionId,
    source_type: SourceType,
    source_id: UUID,
    now: datetime,
) -> None:
    """Ask for generation from a source that is new or has grown."""
    connection.run(
        "jobs/queue",
        id=new_id(),
        project_id=project_id,
        session_id=session_id,
        source_type=source_type.value,
        source_id=source_id,
        now=now,
    )


def claim_next(connection: Connection, now: datetime, until: datetime) -> Claim | None:
    """Take the job to work on next; None when nothing is due."""
    row = connection.row("jobs/due", now=now)
    if row is None:
        return None
    token = new_id()
    if connection.run("jobs/claim", id=row["id"], token=token, until=until, now=now) == 0:
        return None
    return Claim(
        job_id=JobId(UUID(row["id"])),
        project_id=ProjectId(UUID(row["project_id"])),
        session_id=SessionId(UUID(row["session_id"])),
        source_type=SourceType(row["source_type"]),
        source_id=UUID(row["source_id"]),
        revision=row["revision"],
        attempt=row["attempts"] + 1,
        max_attempts=row["max_attempts"],
        token=token,
    )


def heartbeat(connection: Connection, claim: Claim, until: datetime) -> bool:
    """Extend a claim; false when it is lost."""
    return connection.run("jobs/heartbeat", id=claim.job_id, token=claim.token, until=until) == 1


def complete(connection: Connection, claim: Claim, now: datetime) -> bool:
    """Finish a claimed job; false when the claim is lost."""
    touched = connection.run("jobs/complete", id=claim.job_id, token=claim.token, revision=claim.revision, now=now)
    return touched == 1


def give_back(
    connection: Connection, claim: Claim, next_attempt_at: datetime | None, reason: str, now: datetime
) -> bool:
    """Schedule another attempt, or fail the job when none is wanted or left; false when the claim is lost."""
    touched = connection.run(
        "jobs/give_back",
        id=claim.job_id,
        token=claim.token,
        next_attempt_at=next_attempt_at,
        reason=reason,
        now=now,
    )
    return touched == 1


def release(connection: Connection, claim: Claim, now: datetime) -> bool:
    """Give a claimed job back unspent; false when the claim is lost."""
    return connection.run("jobs/release", id=claim.job_id, token=claim.token, now=now) == 1


def rescue(connection: Connection, *, before: datetime | None, now: datetime) -> int:
    """Give back the jobs whose lease ended before then, or every claimed one; returns how many."""
    return connection.run("jobs/rescue", before=before, now=now)


def next_due_at(connection: Connection) -> datetime | None:
    """Return when the next waiting job is due."""
    row = connection.row("jobs/next_due_at")
    return None if row is None or row["next_attempt_at"] is None else from_milliseconds(row["next_attempt_at"])


def get(connection: Connection, job_id: JobId) -> Job | None:
    """Return the job of that id."""
    row = connection.row("jobs/get", id=job_id)
    return records.job(row) if row else None


def is_project_busy(connection: Connection, project_id: ProjectId, since: datetime) -> bool:
    """Tell whether something that was asked for since then is not done."""
    return connection.row("jobs/open_of_project", project_id=project_id, since=since) is not None


def counts(connection: Connection, now: datetime) -> Sequence[Count]:
    """Count the jobs by source type and status."""
    return [
        Count(SourceType(row["source_type"]), JobStatus(row["status"]), bool(row["is_delayed"]), row["jobs"])
        for row in connection.rows("jobs/counts", now=now)
    ]
