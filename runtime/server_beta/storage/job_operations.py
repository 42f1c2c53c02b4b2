"""What people ask about jobs and do to them; what generation does to them is in `jobs`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..domain.ids import ApiKeyId, JobId, ProjectId, TeamId
from ..domain.jobs import JobChange, JobFilter, JobSource, JobStatus, Message
from ..domain.records import Job
from . import records
from .database import Connection


@dataclass(frozen=True, slots=True)
class Retried:
    """How a job stood before it was retried, and what to publish."""

    stood: JobStatus
    message: Message


async def list_filtered(connection: Connection, team_id: TeamId, wanted: JobFilter) -> Sequence[Job]:
    """Return the team's jobs that pass the filter, newest first."""
    created_at, last_id = wanted.after or (None, None)
    rows = await connection.rows(
        "jobs/list", team_id, *_conditions(wanted), created_at, last_id, wanted.limit, wanted.offset
    )
    return [records.job(row) for row in rows]


async def count(connection: Connection, team_id: TeamId, wanted: JobFilter) -> int:
    """Count the team's jobs that pass the filter, whatever their page."""
    row = await connection.row("jobs/count", team_id, *_conditions(wanted))
    assert row is not None
    return int(row["jobs"])


async def history(connection: Connection, job: Job, most: int) -> Sequence[JobChange]:
    """Return the newest of what happened to a job, oldest first."""
    rows = await connection.rows("jobs/history", job.team_id, job.project_id, job.id, most)
    return [JobChange(**dict(row)) for row in rows]


async def payloads(
    connection: Connection, team_id: TeamId, job_ids: Collection[JobId], *, of_each: int, most_bytes: int
) -> Mapping[JobId, Sequence[JobSource]]:
    """Return the newest events that each job generates from, oldest first, as far as the bytes reach."""
    rows = await connection.rows("jobs/payloads", team_id, list(job_ids), of_each, most_bytes)
    found: defaultdict[JobId, list[JobSource]] = defaultdict(list)
    for row in rows:
        found[row["job_id"]].append(JobSource(**dict(row)))
    return found


async def retry(
    connection: Connection,
    team_id: TeamId,
    project_id: ProjectId,
    job_id: JobId,
    *,
    key_id: ApiKeyId | None,
    request_id: str | None,
    actor: str,
) -> Retried | None:
    """Queue a failed or cancelled job again, or bring a queued one forward; None when it is not there."""
    await connection.row("jobs/hold", team_id, project_id, job_id)
    row = await connection.row("jobs/retry", team_id, project_id, job_id, key_id, request_id, actor)
    return Retried(JobStatus(row["stood"]), records.message(row)) if row else None


async def times_retried(connection: Connection, job: Job) -> int:
    """Return how often a job was queued again by somebody."""
    row = await connection.row("jobs/times_retried", job.team_id, job.project_id, job.id)
    assert row is not None
    return int(row["times"])


async def cancel(
    connection: Connection, team_id: TeamId, project_id: ProjectId, job_id: JobId, actor: str
) -> JobStatus | None:
    """Cancel a job that is queued or being worked on; returns how it stood, None when it is not there."""
    await connection.row("jobs/hold", team_id, project_id, job_id)
    row = await connection.row("jobs/cancel", team_id, project_id, job_id, actor)
    return JobStatus(row["stood"]) if row else None


async def owner_unlike(connection: Connection, message: Message) -> tuple[TeamId, ProjectId] | None:
    """Return whose job the message names when that is not whose it says; otherwise None."""
    row = await connection.row("jobs/owner", message.job_id)
    said = (message.team_id, message.project_id, message.lane.source_type.value)
    if row is None or (row["team_id"], row["project_id"], row["source_type"]) == said:
        return None
    return row["team_id"], row["project_id"]


async def hold_tenant(connection: Connection, team_id: TeamId, project_id: ProjectId) -> bool:
    """Keep a team and its project from being deleted during this transaction; false when they are gone."""
    return await connection.row("jobs/hold_tenant", team_id, project_id) is not None


def _conditions(wanted: JobFilter) -> tuple[object, ...]:
    types = wanted.source_types
    return (
        wanted.project_id,
        wanted.status.value if wanted.status else None,
        None if types is None else [source_type.value for source_type in types],
        wanted.session_id,
        wanted.since,
        wanted.until,
    )
