"""Generation jobs: lanes, states and the one table of who may move a job where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from .ids import ApiKeyId, EventId, JobId, ProjectId, SessionId, TeamId, digest


class Lane(StrEnum):
    """A kind of work with a queue of its own; the value is the kind's name on the wire."""

    EVENT = "event"
    EVENT_BATCH = "event-batch"
    SUMMARY = "summary"
    REINDEX = "reindex"

    @property
    def queue_name(self) -> str:
        """The BullMQ queue that carries this lane, the same in every process of a deployment."""
        return _QUEUES[self]

    @property
    def id_prefix(self) -> str:
        """What this lane's transport ids begin with."""
        return _PREFIXES[self]

    @property
    def source_type(self) -> SourceType:
        """The kind of source that this lane's jobs generate from."""
        return _SOURCES[self]


class SourceType(StrEnum):
    """What a job generates from; the value is stored."""

    AGENT_EVENT = "agent_event"
    EVENT_BATCH = "event_batch"
    SESSION_SUMMARY = "session_summary"
    OBSERVATION_REINDEX = "observation_reindex"

    @property
    def lane(self) -> Lane:
        """The lane that carries jobs of this source."""
        return _LANES[self]


_QUEUES = {
    Lane.EVENT: "server_beta_generate_event",
    Lane.EVENT_BATCH: "server_beta_generate_event_batch",
    Lane.SUMMARY: "server_beta_generate_summary",
    Lane.REINDEX: "server_beta_reindex",
}
_PREFIXES = {Lane.EVENT: "evt", Lane.EVENT_BATCH: "evtb", Lane.SUMMARY: "sum", Lane.REINDEX: "rdx"}
_SOURCES = {
    Lane.EVENT: SourceType.AGENT_EVENT,
    Lane.EVENT_BATCH: SourceType.EVENT_BATCH,
    Lane.SUMMARY: SourceType.SESSION_SUMMARY,
    Lane.REINDEX: SourceType.OBSERVATION_REINDEX,
}
_LANES = {source: lane for lane, source in _SOURCES.items()}


class JobStatus(StrEnum):
    """Where a job stands; the value is stored."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether only an operator can move the job on."""
        return self in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}


@dataclass(frozen=True, slots=True)
class Transition:
    """One permitted change of a job's status, and who makes it."""

    source: JobStatus | None
    target: JobStatus
    actor: str
    lifecycle_event: str


TRANSITIONS = (
    Transition(None, JobStatus.QUEUED, "ingest", "queued"),
    Transition(JobStatus.QUEUED, JobStatus.PROCESSING, "consumer", "processing"),
    Transition(JobStatus.PROCESSING, JobStatus.COMPLETED, "consumer", "completed"),
    Transition(JobStatus.PROCESSING, JobStatus.FAILED, "consumer", "failed"),
    Transition(JobStatus.PROCESSING, JobStatus.QUEUED, "consumer", "retry_scheduled"),
    Transition(JobStatus.PROCESSING, JobStatus.QUEUED, "rescuer", "retry_scheduled"),
    Transition(JobStatus.QUEUED, JobStatus.CANCELLED, "operator", "cancelled"),
    Transition(JobStatus.PROCESSING, JobStatus.CANCELLED, "operator", "cancelled"),
    Transition(JobStatus.FAILED, JobStatus.QUEUED, "operator", "queued"),
    Transition(JobStatus.CANCELLED, JobStatus.QUEUED, "operator", "queued"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """What the transport carries: enough to find the row, nothing to trust.

    `attempt` is the number of attempts the row had spent when it was published; it is part of the transport id
    because BullMQ silently drops an id that it still knows.
    """

    job_id: JobId
    team_id: TeamId
    project_id: ProjectId
    lane: Lane
    attempt: int
    request_id: str | None = None

    @property
    def transport_id(self) -> str:
        """The deterministic id under which BullMQ knows this attempt; contains no colon."""
        return f"{self.lane.id_prefix}_{digest(self.job_id, self.attempt)[:40]}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this process may work on until `locked_until`; `attempt` fences every later change.

    `is_key_revoked` tells whether the key that asked for it has been revoked since.
    """

    job_id: JobId
    team_id: TeamId
    project_id: ProjectId
    session_id: SessionId | None
    source_type: SourceType
    source_id: UUID
    turn_key: str | None
    attempt: int
    max_attempts: int
    locked_until: datetime
    api_key_id: ApiKeyId | None = None
    is_key_revoked: bool = False
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class JobChange:
    """One line of a job's history."""

    event: str
    attempt: int
    detail: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class JobSource:
    """A recorded event that a job generates from."""

    job_id: JobId
    id: EventId
    event_type: str
    payload: dict[str, object]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list, newest first; `after` is the last row of the page before, `offset` leaves out that many."""

    project_id: ProjectId | None = None
    status: JobStatus | None = None
    source_types: tuple[SourceType, ...] | None = None
    session_id: SessionId | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, UUID] | None = None
    offset: int = 0
    limit: int = 50
