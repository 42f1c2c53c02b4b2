"""Rows into domain values: one constructor for each kind of row."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from uuid import UUID

from ..domain.ids import JobId, ProjectId, SessionId
from ..domain.instants import from_milliseconds
from ..domain.jobs import JobStatus, SourceType
from ..domain.observations import Draft, Observation
from ..domain.records import Job, Project, Session, Stored, Turn
from ..domain.tenancy import LOCAL_TEAM_ID
from ..domain.turns import Recorded


def project(row: sqlite3.Row) -> Project:
    """Read a row of projects."""
    return Project(
        id=ProjectId(UUID(row["id"])),
        key=row["key"],
        name=row["name"],
        created_at=from_milliseconds(row["created_at"]),
        updated_at=from_milliseconds(row["updated_at"]),
    )


def session(row: sqlite3.Row) -> Session:
    """Read a row of sessions."""
    return Session(
        id=SessionId(UUID(row["id"])),
        project_id=ProjectId(UUID(row["project_id"])),
        external_session_id=row["external_session_id"],
        project_root=row["project_root"],
        started_at=from_milliseconds(row["started_at"]),
    )


def turn(row: sqlite3.Row) -> Turn:
    """Read a row of turns."""
    return Turn(
        id=UUID(row["id"]),
        project_id=ProjectId(UUID(row["project_id"])),
        session_id=SessionId(UUID(row["session_id"])),
        is_open=bool(row["is_open"]),
        is_private=bool(row["is_private"]),
    )


def recorded(row: sqlite3.Row) -> Recorded:
    """Read an event as a generator sees it."""
    return Recorded(row["event_type"], json.loads(row["payload"]), from_milliseconds(row["occurred_at"]))


def job(row: sqlite3.Row) -> Job:
    """Read a row of jobs."""
    return Job(
        id=JobId(UUID(row["id"])),
        project_id=ProjectId(UUID(row["project_id"])),
        session_id=SessionId(UUID(row["session_id"])),
        source_type=SourceType(row["source_type"]),
        source_id=UUID(row["source_id"]),
        status=JobStatus(row["status"]),
        attempts=row["attempts"],
        max_attempts=row["max_attempts"],
        next_attempt_at=_instant_or_none(row["next_attempt_at"]),
        completed_at=_instant_or_none(row["completed_at"]),
        failed_at=_instant_or_none(row["failed_at"]),
        last_error=row["last_error"],
        created_at=from_milliseconds(row["created_at"]),
        updated_at=from_milliseconds(row["updated_at"]),
    )


def stored(row: sqlite3.Row) -> Stored:
    """Read a row of observations."""
    observation = Observation(
        id=UUID(row["id"]),
        project_id=UUID(row["project_id"]),
        team_id=LOCAL_TEAM_ID,
        session_id=UUID(row["session_id"]),
        draft=Draft(
            kind=row["kind"],
            title=row["title"],
            subtitle=row["subtitle"],
            narrative=row["narrative"],
            facts=tuple(json.loads(row["facts"])),
            concepts=tuple(json.loads(row["concepts"])),
            files_read=tuple(json.loads(row["files_read"])),
            files_modified=tuple(json.loads(row["files_modified"])),
            metadata=json.loads(row["metadata"]),
        ),
        created_at=from_milliseconds(row["created_at"]),
        updated_at=from_milliseconds(row["updated_at"]),
    )
    return Stored(observation, row["sequence"])


def _instant_or_none(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)
