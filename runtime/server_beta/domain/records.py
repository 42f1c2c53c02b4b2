"""What the store keeps: projects, sessions, events and jobs, as they are read back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from .ids import ApiKeyId, EventId, JobId, ProjectId, SessionId, TeamId
from .jobs import JobStatus, SourceType
from .observations import Observation

# What the wire says of a job and the queue: it is there, it will be once the queue answers, there is no job.
Transport = Literal["enqueued", "queued_only", "skipped"]


@dataclass(frozen=True, slots=True)
class Team:
    """Who owns projects and keys; nothing is seen across teams."""

    id: TeamId
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Project:
    """A project of one team; `key` identifies its checkout everywhere (a remote or a path hash)."""

    id: ProjectId
    team_id: TeamId
    key: str
    name: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored API key; the key itself is never stored, only its SHA-256.

    `rotated_from` is the key that it replaces, `installation_id` the data folder whose local key it is.
    """

    id: ApiKeyId
    team_id: TeamId
    project_id: ProjectId | None
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    created_by: str
    rotated_from: ApiKeyId | None
    installation_id: UUID | None


@dataclass(frozen=True, slots=True)
class Session:
    """One session of an agent; found again by project, platform and external id."""

    id: SessionId
    project_id: ProjectId
    team_id: TeamId
    external_session_id: str | None
    content_session_id: str | None
    agent_id: str | None
    agent_type: str | None
    platform_source: str
    generation_status: str
    context_owed: bool
    project_root: str | None
    metadata: dict[str, object]
    started_at: datetime
    ended_at: datetime | None
    last_generated_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a client says when it starts a session."""

    project_id: ProjectId
    external_session_id: str | None = None
    content_session_id: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    platform_source: str = "api"
    project_root: str | None = None
    metadata: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to record. `source_event_id` is the sender's id for it, the same on every retry.

    `turn_key` groups the events of one prompt; `session_id` is ours, `content_session_id` the sender's.
    """

    project_id: ProjectId
    event_type: str
    occurred_at: datetime
    payload: dict[str, object]
    source_type: str = "api"
    source_adapter: str = "api"
    platform_source: str = "api"
    source_event_id: str | None = None
    session_id: SessionId | None = None
    content_session_id: str | None = None
    turn_key: str | None = None
    metadata: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A stored event."""

    id: EventId
    project_id: ProjectId
    team_id: TeamId
    server_session_id: SessionId | None
    content_session_id: str | None
    source_type: str
    source_adapter: str
    source_event_id: str | None
    event_type: str
    platform_source: str
    turn_key: str | None
    payload: dict[str, object]
    metadata: dict[str, object]
    occurred_at: datetime
    received_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A stored generation job; `transport_id` is set once it was published."""

    id: JobId
    project_id: ProjectId
    team_id: TeamId
    source_type: SourceType
    source_id: UUID
    agent_event_id: EventId | None
    server_session_id: SessionId | None
    turn_key: str | None
    job_type: str
    status: JobStatus
    transport_id: str | None
    attempts: int
    max_attempts: int
    next_attempt_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    cancelled_at: datetime | None
    last_error: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one event.

    `created` is false on a replay, `job` is None when none was called for, `transport` is what the wire calls it:
    `enqueued`, `queued_only` (stored; the queue does not answer at the moment) or `skipped` (no job).
    """

    event: Event
    job: Job | None
    created: bool
    transport: Transport


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What the hook prints (`{}` for nothing), whether the event was new, and what became of one that was stored."""

    output: dict[str, object]
    created: bool
    ingested: Ingested | None = None


@dataclass(frozen=True, slots=True)
class ObservationFilter:
    """Which observations to list, newest first; `after` is the last row of the page before."""

    project_id: ProjectId | None = None
    kind: str | None = None
    session_id: SessionId | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, UUID] | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A question to the store; the best matches come first."""

    query: str
    project_id: ProjectId | None = None
    kinds: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    files: tuple[str, ...] | None = None
    limit: int = 20
    offset: int = 0


@dataclass(frozen=True, slots=True)
class TimelineRequest:
    """What happened around an observation; `anchor` is its id, whole or short."""

    anchor: str
    before: int = 5
    after: int = 5


@dataclass(frozen=True, slots=True)
class Hit:
    """An observation that a search found, and why."""

    observation: Observation
    score: float
    snippet: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The answer of a health route; `ok` decides the status code."""

    ok: bool
    body: dict[str, object]
