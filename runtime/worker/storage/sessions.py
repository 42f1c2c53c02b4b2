"""Sessions of the client."""

from __future__ import annotations

from datetime import datetime

from ..domain.ids import ProjectId, SessionId, new_id
from ..domain.records import Session
from . import records
from .connection import Connection

_PLATFORM = "claude-code"


def find_or_create(
    connection: Connection,
    project_id: ProjectId,
    external_id: str,
    project_root: str | None,
    *,
    started_at: datetime,
    now: datetime,
) -> Session:
    """Return the session that the client names so."""
    connection.run(
        "sessions/insert",
        id=new_id(),
        project_id=project_id,
        platform_source=_PLATFORM,
        external_session_id=external_id,
        project_root=project_root,
        started_at=started_at,
        now=now,
    )
    row = connection.row(
        "sessions/by_external_id", project_id=project_id, platform_source=_PLATFORM, external_session_id=external_id
    )
    assert row is not None, "it was inserted in this transaction"
    return records.session(row)


def get(connection: Connection, session_id: SessionId) -> Session | None:
    """Return the session of that id."""
    row = connection.row("sessions/get", id=session_id)
    return records.session(row) if row else None


def owe_context(connection: Connection, session_id: SessionId, now: datetime) -> None:
    """Remember that the client started without its context."""
    connection.run("sessions/owe_context", id=session_id, now=now)


def settle_context(connection: Connection, session_id: SessionId, now: datetime) -> bool:
    """Take over the delivery of an owed context; false when there is none."""
    return connection.run("sessions/settle_context", id=session_id, now=now) == 1


def end(connection: Connection, session_id: SessionId, now: datetime) -> None:
    """Note that the client has left."""
    connection.run("sessions/end", id=session_id, now=now)


def mark_generated(connection: Connection, session_id: SessionId, now: datetime) -> None:
    """Note that something was generated from the session."""
    connection.run("sessions/mark_generated", id=session_id, now=now)
