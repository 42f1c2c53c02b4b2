"""One of each object that the API speaks of."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from server_beta.domain.ids import EventId, JobId, ProjectId, SessionId, TeamId
from server_beta.domain.jobs import JobStatus, SourceType
from server_beta.domain.observations import Draft, Observation
from server_beta.domain.records import Event, Job, NewEvent, Project, Session

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
AT_MS = 1_767_323_045_678
TEAM = TeamId(UUID(int=1))
PROJECT = Project(ProjectId(UUID(int=2)), TEAM, "git:github.com/owner/repo", "repo", AT, AT)
OBSERVATIONS = tuple(
    Observation(UUID(int=100 + n), PROJECT.id, TEAM, None, Draft("bugfix", f"Fix {n}", facts=("a",)), AT, AT)
    for n in range(3)
)
SESSION = Session(
    id=SessionId(UUID(int=3)),
    project_id=PROJECT.id,
    team_id=TEAM,
    external_session_id="s-1",
    content_session_id=None,
    agent_id=None,
    agent_type=None,
    platform_source="api",
    generation_status="idle",
    context_owed=False,
    project_root="/secret/root",
    metadata={},
    started_at=AT,
    ended_at=None,
    last_generated_at=None,
    created_at=AT,
    updated_at=AT,
)
JOB = Job(
    id=JobId(UUID(int=4)),
    project_id=PROJECT.id,
    team_id=TEAM,
    source_type=SourceType.AGENT_EVENT,
    source_id=UUID(int=5),
    agent_event_id=EventId(UUID(int=5)),
    server_session_id=None,
    turn_key=None,
    job_type="generate",
    status=JobStatus.QUEUED,
    transport_id=None,
    attempts=0,
    max_attempts=3,
    next_attempt_at=AT,
    completed_at=None,
    failed_at=None,
    cancelled_at=None,
    last_error=None,
    created_at=AT,
    updated_at=AT,
)


def stored(new: NewEvent) -> Event:
    """Store an event, so to speak."""
    return Event(
        id=EventId(UUID(int=5)),
        project_id=new.project_id,
        team_id=TEAM,
        server_session_id=new.session_id,
        content_session_id=new.content_session_id,
        source_type=new.source_type,
        source_adapter=new.source_adapter,
        source_event_id=new.source_event_id,
        event_type=new.event_type,
        platform_source=new.platform_source,
        turn_key=new.turn_key,
        payload=new.payload,
        metadata=new.metadata or {},
        occurred_at=new.occurred_at,
        received_at=AT,
        created_at=AT,
    )
