"""Rows into domain values: one constructor for each kind of row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..domain.audit import AuditEntry
from ..domain.jobs import Claim, JobStatus, Lane, Message, SourceType
from ..domain.observations import Draft, Observation
from ..domain.records import ApiKey, Event, Job, Project, Session, Team
from ..domain.turns import Recorded

Row = Mapping[str, Any]


def team(row: Row) -> Team:
    """Read a row of teams."""
    return Team(**dict(row))


def project(row: Row) -> Project:
    """Read a row of projects."""
    return Project(**dict(row))


def api_key(row: Row) -> ApiKey:
    """Read a row of api_keys."""
    return ApiKey(**{**dict(row), "scopes": tuple(row["scopes"])})


def audit_entry(row: Row) -> AuditEntry:
    """Read a row of audit_log."""
    return AuditEntry(**dict(row))


def session(row: Row) -> Session:
    """Read a row of server_sessions."""
    return Session(**dict(row))


def event(row: Row) -> Event:
    """Read a row of agent_events."""
    return Event(**dict(row))


def recorded(row: Row) -> Recorded:
    """Read an event as a generator sees it."""
    return Recorded(event_type=row["event_type"], payload=row["payload"], occurred_at=row["occurred_at"])


def job(row: Row) -> Job:
    """Read a row of observation_generation_jobs."""
    known = {field.name for field in fields(Job)}
    values = {name: value for name, value in row.items() if name in known}
    return Job(**{**values, "source_type": SourceType(row["source_type"]), "status": JobStatus(row["status"])})


def claim(row: Row) -> Claim:
    """Read what a claim returned."""
    return Claim(
        job_id=row["id"],
        team_id=row["team_id"],
        project_id=row["project_id"],
        session_id=row["server_session_id"],
        source_type=SourceType(row["source_type"]),
        source_id=row["source_id"],
        turn_key=row["turn_key"],
        attempt=row["attempts"],
        max_attempts=row["max_attempts"],
        locked_until=row["locked_until"],
        api_key_id=row["api_key_id"],
        is_key_revoked=row["is_key_revoked"],
        request_id=row["request_id"],
    )


def message(row: Row) -> Message:
    """Read what the transport needs to carry of a job."""
    return Message(
        job_id=row["id"],
        team_id=row["team_id"],
        project_id=row["project_id"],
        lane=_lane(row["source_type"]),
        attempt=row["attempts"],
        request_id=row["request_id"],
    )


def observation(row: Row) -> Observation:
    """Read a row of observations."""
    return Observation(
        id=row["id"],
        project_id=row["project_id"],
        team_id=row["team_id"],
        session_id=row["server_session_id"],
        draft=Draft(
            kind=row["kind"],
            title=row["title"],
            subtitle=row["subtitle"],
            narrative=row["narrative"],
            facts=tuple(row["facts"]),
            concepts=tuple(row["concepts"]),
            files_read=tuple(row["files_read"]),
            files_modified=tuple(row["files_modified"]),
            metadata=row["metadata"],
            content=row["content"],
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _lane(source_type: str) -> Lane:
    return SourceType(source_type).lane
