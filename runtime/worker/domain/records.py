"""What the store keeps: projects, sessions, turns and jobs, as they are read back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from .ids import JobId, ProjectId, SessionId
from .jobs import JobStatus, SourceType
from .observations import Observation


@dataclass(frozen=True, slots=True)
class Project:
    """A project; `key` identifies its checkout everywhere (a remote or a path hash)."""

    id: ProjectId
    key: str
    name: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """One session of the client; found again by project and the client's id."""

    id: SessionId
    project_id: ProjectId
    external_session_id: str
    project_root: str | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt and what followed. An open turn has not been queued for generation yet."""

    id: UUID
    project_id: ProjectId
    session_id: SessionId
    is_open: bool
    is_private: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A stored generation job."""

    id: JobId
    project_id: ProjectId
    session_id: SessionId
    source_type: SourceType
    source_id: UUID
    status: JobStatus
    attempts: int
    max_attempts: int
    next_attempt_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    last_error: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Recording:
    """What became of one event.

    `queued` says that it asked for generation, `delivers_context` that the answer to this prompt carries the context.
    """

    project: Project
    session: Session
    created: bool
    queued: bool
    delivers_context: bool


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What the hook prints (`{}` for nothing), and whether the event was new."""

    output: dict[str, object]
    created: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """An observation with its place in the store's order, which a page cursor names."""

    observation: Observation
    sequence: int


@dataclass(frozen=True, slots=True)
class ObservationFilter:
    """Which observations to list, newest first; `after` is the last row of the page before."""

    project_id: ProjectId | None = None
    kind: str | None = None
    session_id: SessionId | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, int] | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A question to the store; the best matches come first."""

    query: str
    project_id: ProjectId | None = None
    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    files: tuple[str, ...] = ()
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
