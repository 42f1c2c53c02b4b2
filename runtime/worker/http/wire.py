"""Domain values as the API writes them: camelCase members, ids as text, instants in fields that end in Epoch."""

from __future__ import annotations

from datetime import datetime

from ..domain.instants import to_milliseconds
from ..domain.observations import Observation, content_of
from ..domain.records import Hit, Job, Project
from ..domain.tenancy import LOCAL_TEAM_ID

Wire = dict[str, object]


def project(value: Project) -> Wire:
    """Write a project."""
    return {
        "id": value.id,
        "teamId": LOCAL_TEAM_ID,
        "key": value.key,
        "name": value.name,
        "createdAtEpoch": to_milliseconds(value.created_at),
        "updatedAtEpoch": to_milliseconds(value.updated_at),
    }


def job(value: Job) -> Wire:
    """Write a generation job; its transport is the table that holds it."""
    return {
        "id": value.id,
        "projectId": value.project_id,
        "teamId": LOCAL_TEAM_ID,
        "sourceType": value.source_type,
        "sourceId": value.source_id,
        "agentEventId": None,
        "serverSessionId": value.session_id,
        "jobType": "generate",
        "status": value.status,
        "bullmqJobId": None,
        "attempts": value.attempts,
        "maxAttempts": value.max_attempts,
        "nextAttemptAtEpoch": _epoch_or_none(value.next_attempt_at),
        "completedAtEpoch": _epoch_or_none(value.completed_at),
        "failedAtEpoch": _epoch_or_none(value.failed_at),
        "cancelledAtEpoch": None,
        "lastError": value.last_error,
        "transport": "enqueued",
        "createdAtEpoch": to_milliseconds(value.created_at),
        "updatedAtEpoch": to_milliseconds(value.updated_at),
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
        "createdAtEpoch": to_milliseconds(value.created_at),
        "updatedAtEpoch": to_milliseconds(value.updated_at),
    }


def hit(value: Hit) -> Wire:
    """Write an observation that a search found."""
    return {**observation(value.observation), "score": value.score, "snippet": value.snippet}


def _epoch_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else to_milliseconds(moment)
