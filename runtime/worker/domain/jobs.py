"""Generation jobs: lanes, states and the one table of who may move a job where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from .ids import JobId, ProjectId, SessionId


class Lane(StrEnum):
    """A kind of work; the value is the kind's name on the wire."""

    EVENT_BATCH = "event-batch"
    SUMMARY = "summary"

    @property
    def queue_name(self) -> str:
        """What the lane is called where lanes are listed."""
        return f"worker_generate_{self.value.replace('-', '_')}"


class SourceType(StrEnum):
    """What a job generates from; the value is stored."""

    EVENT_BATCH = "event_batch"
    SESSION_SUMMARY = "session_summary"

    @property
    def lane(self) -> Lane:
        """The lane that carries jobs of this source."""
        return Lane.EVENT_BATCH if self is SourceType.EVENT_BATCH else Lane.SUMMARY


class JobStatus(StrEnum):
    """Where a job stands; the value is stored."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Transition:
    """One permitted change of a job's status, and who makes it."""

    source: JobStatus | None
    target: JobStatus
    actor: str


# A source has one job for ever. A turn that grows after it was generated from is queued again: its `revision` counts
# up, and an answer to an earlier revision sends the job back to the queue instead of completing it.
TRANSITIONS = (
    Transition(None, JobStatus.QUEUED, "ingest"),
    Transition(JobStatus.COMPLETED, JobStatus.QUEUED, "ingest"),
    Transition(JobStatus.FAILED, JobStatus.QUEUED, "ingest"),
    Transition(JobStatus.QUEUED, JobStatus.PROCESSING, "consumer"),
    Transition(JobStatus.PROCESSING, JobStatus.COMPLETED, "consumer"),
    Transition(JobStatus.PROCESSING, JobStatus.FAILED, "consumer"),
    Transition(JobStatus.PROCESSING, JobStatus.QUEUED, "consumer"),
    Transition(JobStatus.PROCESSING, JobStatus.QUEUED, "rescuer"),
    Transition(JobStatus.PROCESSING, JobStatus.FAILED, "rescuer"),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that its holder may work on while the lease lasts; `token` fences every later change."""

    job_id: JobId
    project_id: ProjectId
    session_id: SessionId
    source_type: SourceType
    source_id: UUID
    revision: int
    attempt: int
    max_attempts: int
    token: UUID
