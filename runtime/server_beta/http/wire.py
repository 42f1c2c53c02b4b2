"""Domain values as the API writes them: camelCase members, ids as text, instants in fields that end in Epoch."""

from __future__ import annotations

from datetime import datetime

from ..domain.observations import Observation, content_of
from ..domain.records import Event, Hit, Ingested, Job, Project, Session
from .instants import to_epoch_ms

Wire = dict[str, object]


def project(value: Project) -> Wire:
    """Write a project."""
    return {
        "id": value.id,
        "teamId": value.team_id,
        "key": value.key,
        "name": value.name,
        "createdAtEpoch": to_epoch_ms(value.created_at),
        "updatedAtEpoch": to_epoch_ms(value.updated_at),
    }


def session(value: Session) -> Wire:
    """Write a session; what the runtime keeps about it for itself stays inside."""
    return {
        "id": value.id,
        "projectId": value.project_id,
        "teamId": value.team_id,
        "externalSessionId": value.external_session_id,
        "contentSessionId": value.content_session_id,
        "agentId": value.agent_id,
        "agentType": value.agent_type,
        "platformSource": value.platform_source,
        "generationStatus": value.generation_status,
        "metadata": value.metadata,
        "startedAtEpoch": to_epoch_ms(value.started_at),
        "endedAtEpoch": _epoch_or_none(value.ended_at),
        "lastGeneratedAtEpoch": _epoch_or_none(value.last_generated_at),
        "createdAtEpoch": to_epoch_ms(value.created_at),
        "updatedAtEpoch": to_epoch_ms(value.updated_at),
    }


def event(value: Event) -> Wire:
    """Write an event."""
    return {
        "id": value.id,
        "projectId": value.project_id,
        "teamId": value.team_id,
        "serverSessionId": value.server_session_id,
        "contentSessionId": value.content_session_id,
        "sourceType": value.source_type,
        "sourceAdapter": value.source_adapter,
        "sourceEventId": value.source_event_id,
        "eventType": value.event_type,
        "platformSource": value.platform_source,
        "payload": value.payload,
        "metadata": value.metadata,
        "occurredAtEpoch": to_epoch_ms(value.occurred_at),
        "receivedAtEpoch": to_epoch_ms(value.received_at),
        "createdAtEpoch": to_epoch_ms(value.created_at),
    }


def ingested(value: Ingested) -> Wire:
    """Write what became of an event: with its generation job, if there is one."""
    if value.job is None:
        return {"event": event(value.event)}
    return {"event": event(value.event), "generationJob": job(value.job, value.transport)}


def job(value: Job, transport: str | None = None) -> Wire:
    """Write a generation job; `transport` is what ingest found out, else what the row says."""
    return {
        "id": value.id,
        "projectId": value.project_id,
        "teamId": value.team_id,
        "sourceType": value.source_type,
        "sourceId": value.source_id,
        "agentEventId": value.agent_event_id,
        "serverSessionId": value.server_session_id,
        "jobType": value.job_type,
        "status": value.status,
        "bullmqJobId": value.transport_id,
        "attempts": value.attempts,
        "maxAttempts": value.max_attempts,
        "nextAttemptAtEpoch": _epoch_or_none(value.next_attempt_at),
        "completedAtEpoch": _epoch_or_none(value.completed_at),
        "failedAtEpoch": _epoch_or_none(value.failed_at),
        "cancelledAtEpoch": _epoch_or_none(value.cancelled_at),
        "lastError": value.last_error,
        "transport": transport or ("queued_only" if value.transport_id is None else "enqueued"),
        "createdAtEpoch": to_epoch_ms(value.created_at),
        "updatedAtEpoch": to_epoch_ms(value.updated_at),
    }


def observation(value: Observation) -> Wire:
    """Write an observation: as one text (`content`), and in its parts."""
    draft = value.draft
    return {
        "id": value.id,
        "projectId": value.project_id,
        "teamId": value.team_id,
        "serverSessionId": value.session_id,
        "kind": draft.kind,
        "content": content_of(draft),
        "title": draft.title,
        "subtitle": draft.subtitle,
        "narrative": draft.narrative,
        "facts": draft.facts,
        "concepts": draft.concepts,
        "filesRead": draft.files_read,
        "filesModified": draft.files_modified,
        "metadata": draft.metadata,
        "createdAtEpoch": to_epoch_ms(value.created_at),
        "updatedAtEpoch": to_epoch_ms(value.updated_at),
    }


def hit(value: Hit) -> Wire:
    """Write an observation that a search found."""
    return {**observation(value.observation), "score": value.score, "snippet": value.snippet}


def _epoch_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else to_epoch_ms(moment)
