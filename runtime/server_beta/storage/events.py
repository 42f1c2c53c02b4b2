"""Recorded events, and the jobs that are queued in the same statement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import asyncpg

from ..domain.errors import NotFound
from ..domain.ids import ApiKeyId, EventId, JobId, ProjectId, SessionId, TeamId
from ..domain.jobs import Message
from ..domain.records import Event, NewEvent
from ..domain.turns import Recorded
from . import records
from .database import Connection, encode_json

Call = Literal["none", "event", "content", "close", "end"]


@dataclass(frozen=True, slots=True)
class Write:
    """An event on its way in: `calls_for` says which job it asks for (see events/ingest.sql)."""

    id: EventId
    team_id: TeamId
    new: NewEvent
    idempotency_key: str
    job_id: JobId
    calls_for: Call
    request_id: str | None
    key_id: ApiKeyId | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one event; `event_id` is None while another transaction is storing the same event."""

    event_id: EventId | None
    created: bool
    job_id: JobId | None
    job_source_type: str | None
    created_at: datetime | None


async def ingest(connection: Connection, writes: Sequence[Write]) -> Sequence[Written]:
    """Store events and their jobs in one statement, one answer for each; idempotency keys must differ.

    Raises NotFound when a project or session was deleted meanwhile.
    """
    news = [write.new for write in writes]
    try:
        rows = await _ingest(connection, writes, news)
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("The project or session of this event was deleted.") from error
    return [
        Written(row["event_id"], row["created"], row["job_id"], row["job_source_type"], row["event_created_at"])
        for row in rows
    ]


async def _ingest(
    connection: Connection, writes: Sequence[Write], news: Sequence[NewEvent]
) -> Sequence[asyncpg.Record]:
    return await connection.rows(
        "events/ingest",
        [write.id for write in writes],
        [new.project_id for new in news],
        [write.team_id for write in writes],
        [new.session_id for new in news],
        [new.content_session_id for new in news],
        [new.source_type for new in news],
        [new.source_adapter for new in news],
        [new.source_event_id for new in news],
        [new.event_type for new in news],
        [new.platform_source for new in news],
        [new.turn_key for new in news],
        [encode_json(new.payload) for new in news],
        [encode_json(new.metadata or {}) for new in news],
        [write.idempotency_key for write in writes],
        [new.occurred_at for new in news],
        [write.job_id for write in writes],
        [write.calls_for for write in writes],
        [write.request_id for write in writes],
        [write.key_id for write in writes],
        writes[0].received_at,
    )


async def get(connection: Connection, team_id: TeamId, event_id: EventId) -> Event | None:
    """Return an event of the team."""
    row = await connection.row("events/get", team_id, event_id)
    return records.event(row) if row else None


async def by_ids(connection: Connection, team_id: TeamId, event_ids: Collection[EventId]) -> dict[EventId, Event]:
    """Return those of the team's events."""
    rows = await connection.rows("events/by_ids", team_id, list(event_ids))
    return {row["id"]: records.event(row) for row in rows}


async def of_turn(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: UUID, turn_key: str
) -> tuple[Sequence[Recorded], bool]:
    """Return a turn's events in order, and whether the turn is private."""
    rows = await connection.rows("events/of_turn", project_id, team_id, session_id, turn_key)
    return [records.recorded(row) for row in rows], any(row["metadata"].get("private") for row in rows)


async def of_session(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: UUID
) -> Sequence[Recorded]:
    """Return what a session's summary is made from, private turns left out."""
    rows = await connection.rows("events/of_session", project_id, team_id, session_id)
    return [records.recorded(row) for row in rows if not row["metadata"].get("private")]


async def turn_is_private(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId, turn_key: str
) -> bool:
    """Whether a prompt made its turn private."""
    row = await connection.row("events/turn_is_private", project_id, team_id, session_id, turn_key)
    return bool(row and row["private"])


async def blank_turn(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId, turn_key: str
) -> None:
    """Keep of a turn's events only that they happened."""
    await connection.run("events/blank_turn", team_id, project_id, session_id, turn_key)


async def queue_uncovered_turns(connection: Connection, idle: timedelta, window: timedelta) -> Sequence[Message]:
    """Queue a batch for every turn that is over and has events that no batch has read."""
    return [records.message(row) for row in await connection.rows("events/uncovered_turns", idle, window)]
