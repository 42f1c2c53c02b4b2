"""Turns: which are open, which are private."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ..domain.ids import ProjectId, SessionId, derived_id
from ..domain.records import Turn
from . import records
from .connection import Connection


def touch(
    connection: Connection, project_id: ProjectId, session_id: SessionId, key: str, *, is_private: bool, now: datetime
) -> Turn:
    """Note that something happened in the turn of that key, and return it."""
    turn_id = derived_id("turn", session_id, key)
    connection.run(
        "turns/touch",
        id=turn_id,
        project_id=project_id,
        session_id=session_id,
        key=key,
        is_private=is_private,
        now=now,
    )
    found = get(connection, turn_id)
    assert found is not None, "it was inserted in this transaction"
    return found


def get(connection: Connection, turn_id: UUID) -> Turn | None:
    """Return the turn of that id."""
    row = connection.row("turns/get", id=turn_id)
    return records.turn(row) if row else None


def close(connection: Connection, turn_id: UUID) -> None:
    """Note that the turn has a job."""
    connection.run("turns/close", id=turn_id)


def open_of_session(connection: Connection, session_id: SessionId, *, but: UUID | None) -> Sequence[Turn]:
    """Return the session's open turns, except the one that goes on."""
    return [records.turn(row) for row in connection.rows("turns/open_of_session", session_id=session_id, but=but)]


def idle(connection: Connection, before: datetime) -> Sequence[Turn]:
    """Return the open turns in which nothing happened since."""
    return [records.turn(row) for row in connection.rows("turns/idle", before=before)]
