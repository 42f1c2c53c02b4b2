"""The objects of the API: camelCase members, ids as text, instants in fields that end in Epoch."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict

from ..domain import records
from ..domain.jobs import JobStatus, SourceType
from ..domain.observations import Observation as StoredObservation
from ..domain.observations import content_of
from ..domain.records import Transport
from .instants import to_epoch_ms


class Project(Struct, rename="camel"):
    """A project of a team."""

    id: UUID
    team_id: UUID
    key: str
    name: str
    created_at_epoch: int
    updated_at_epoch: int


class Session(Struct, rename="camel"):
    """A session of an agent; what the runtime keeps about it for itself stays inside."""

    id: UUID
    project_id: UUID
    team_id: UUID
    external_session_id: str | None
    content_session_id: str | None
    agent_id: str | None
    agent_type: str | None
    platform_source: str
    generation_status: str
    metadata: dict[str, object]
    started_at_epoch: int
    ended_at_epoch: int | None
    last_generated_at_epoch: int | None
    created_at_epoch: int
    updated_at_epoch: int


class Event(Struct, rename="camel"):
    """A recorded event."""

    id: UUID
    project_id: UUID
    team_id: UUID
    server_session_id: UUID | None
    content_session_id: str | None
    source_type: str
    source_adapter: str
    source_event_id: str | None
    event_type: str
    platform_source: str
    payload: dict[str, object]
    metadata: dict[str, object]
    occurred_at_epoch: int
    received_at_epoch: int
    created_at_epoch: int


class GenerationJob(Struct, rename="camel"):
    """A generation job; `transport` tells whether the queue has it."""

    id: UUID
    project_id: UUID
    team_id: UUID
    source_type: SourceType
    source_id: UUID
    agent_event_id: UUID | None
    server_session_id: UUID | None
    job_type: str
    status: JobStatus
    bullmq_job_id: str | None
    attempts: int
    max_attempts: int
    next_attempt_at_epoch: int | None
    completed_at_epoch: int | None
    failed_at_epoch: int | None
    cancelled_at_epoch: int | None
    last_error: str | None
    transport: Transport
    created_at_epoch: int
    updated_at_epoch: int


class Ingested(Struct, rename="camel"):
    """What became of an event; without `generationJob` where none was called for."""

    event: Event
    generation_job: GenerationJob | UnsetType | None = UNSET
    wait_timed_out: bool | UnsetType = UNSET


class Observation(Struct, rename="camel"):
    """An observation: as one text (`content`), and in its parts."""

    id: UUID
    project_id: UUID
    team_id: UUID
    server_session_id: UUID | None
    kind: str
    content: str
    title: str
    subtitle: str
    narrative: str
    facts: tuple[str, ...]
    concepts: tuple[str, ...]
    files_read: tuple[str, ...]
    files_modified: tuple[str, ...]
    metadata: dict[str, object]
    created_at_epoch: int
    updated_at_epoch: int


class Hit(Observation, rename="camel", kw_only=True):
    """An observation that a search found, and why."""

    score: float
    snippet: str


def project(value: records.Project) -> Project:
    """Write a project."""
    return Project(
        id=value.id,
        team_id=value.team_id,
        key=value.key,
        name=value.name,
        created_at_epoch=to_epoch_ms(value.created_at),
        updated_at_epoch=to_epoch_ms(value.updated_at),
    )


def session(value: records.Session) -> Session:
    """Write a session."""
    return Session(
        id=value.id,
        project_id=value.project_id,
        team_id=value.team_id,
        external_session_id=value.external_session_id,
        content_session_id=value.content_session_id,
        agent_id=value.agent_id,
        agent_type=value.agent_type,
        platform_source=value.platform_source,
        generation_status=value.generation_status,
        metadata=value.metadata,
        started_at_epoch=to_epoch_ms(value.started_at),
        ended_at_epoch=epoch_or_none(value.ended_at),
        last_generated_at_epoch=epoch_or_none(value.last_generated_at),
        created_at_epoch=to_epoch_ms(value.created_at),
        updated_at_epoch=to_epoch_ms(value.updated_at),
    )


def event(value: records.Event) -> Event:
    """Write an event."""
    return Event(
        id=value.id,
        project_id=value.project_id,
        team_id=value.team_id,
        server_session_id=value.server_session_id,
        content_session_id=value.content_session_id,
        source_type=value.source_type,
        source_adapter=value.source_adapter,
        source_event_id=value.source_event_id,
        event_type=value.event_type,
        platform_source=value.platform_source,
        payload=value.payload,
        metadata=value.metadata,
        occurred_at_epoch=to_epoch_ms(value.occurred_at),
        received_at_epoch=to_epoch_ms(value.received_at),
        created_at_epoch=to_epoch_ms(value.created_at),
    )


def ingested(value: records.Ingested) -> Ingested:
    """Write what became of an event."""
    return Ingested(event(value.event), UNSET if value.job is None else job(value.job, value.transport))


def job(value: records.Job, transport: Transport | None = None) -> GenerationJob:
    """Write a generation job; `transport` is what ingest found out, else what the row says."""
    return GenerationJob(
        id=value.id,
        project_id=value.project_id,
        team_id=value.team_id,
        source_type=value.source_type,
        source_id=value.source_id,
        agent_event_id=value.agent_event_id,
        server_session_id=value.server_session_id,
        job_type=value.job_type,
        status=value.status,
        bullmq_job_id=value.transport_id,
        attempts=value.attempts,
        max_attempts=value.max_attempts,
        next_attempt_at_epoch=epoch_or_none(value.next_attempt_at),
        completed_at_epoch=epoch_or_none(value.completed_at),
        failed_at_epoch=epoch_or_none(value.failed_at),
        cancelled_at_epoch=epoch_or_none(value.cancelled_at),
        last_error=value.last_error,
        transport=transport or ("queued_only" if value.transport_id is None else "enqueued"),
        created_at_epoch=to_epoch_ms(value.created_at),
        updated_at_epoch=to_epoch_ms(value.updated_at),
    )


def observation(value: StoredObservation) -> Observation:
    """Write an observation."""
    draft = value.draft
    return Observation(
        id=value.id,
        project_id=value.project_id,
        team_id=value.team_id,
        server_session_id=value.session_id,
        kind=draft.kind,
        content=content_of(draft),
        title=draft.title,
        subtitle=draft.subtitle,
        narrative=draft.narrative,
        facts=draft.facts,
        concepts=draft.concepts,
        files_read=draft.files_read,
        files_modified=draft.files_modified,
        metadata=draft.metadata,
        created_at_epoch=to_epoch_ms(value.created_at),
        updated_at_epoch=to_epoch_ms(value.updated_at),
    )


def hit(value: records.Hit) -> Hit:
    """Write an observation that a search found."""
    return Hit(**asdict(observation(value.observation)), score=value.score, snippet=value.snippet)


def epoch_or_none(moment: datetime | None) -> int | None:
    """Write an instant that may not have come."""
    return None if moment is None else to_epoch_ms(moment)
