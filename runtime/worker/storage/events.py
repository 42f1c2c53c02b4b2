"""Recorded events, read back by turn and by session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from ..domain.ids import EventId, ProjectId, SessionId
from ..domain.turns import Recorded
from . import records
from .connection import Connection


def is_known(connection: Connection, event_id: EventId) -> bool:
    """Tell whether the event was stored before."""
    return connection.row("events/exists", id=event_id) is not None


def insert(
    connection: Connection,
    event_id: EventId,
    project_id: ProjectId,
    session_id: SessionId,
    turn_id: UUID | None,
    *,
    event_type: str,
    payload: Mapping[str, object],
    occurred_at: datetime,
    received_at: datetime,
) -> None:
    """Store an event; one that is known stays as it is."""
    connection.run(
        "events/insert",
        id=event_id,
        project_id=project_id,
        session_id=session_id,
        turn_id=turn_id,
        event_type=event_type,
        payload=dict(payload),
        occurred_at=occurred_at,
        received_at=received_at,
    )


def blank_turn(connection: Connection, turn_id: UUID) -> None:
    """Forget the payloads of a turn that turns out to be private."""
    if connection.run("events/blank_turn", turn_id=turn_id):
        connection.forget()


def of_turn(connection: Connection, turn_id: UUID) -> Sequence[Recorded]:
    """Return a turn's events in order."""
    return [records.recorded(row) for row in connection.rows("events/of_turn", turn_id=turn_id)]


def of_session(connection: Connection, session_id: SessionId) -> Sequence[Recorded]:
    """Return what a session's summary is made from, private turns left out."""
    return [records.recorded(row) for row in connection.rows("events/of_session", session_id=session_id)]


def count_since(connection: Connection, since: datetime) -> int:
    """Count what was received since then."""
    row = connection.row("events/count_since", since=since)
    return int(row["events"]) if row else 0
