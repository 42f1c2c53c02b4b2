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
from ..domain.legacy import LastPrompt
from ..domain.records import Event, NewEvent
from ..domain.turns import Recorded
from . import records
from .database import Connection, encode_json

Call = Literal["none", "event", "content", "close", "end"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Who sent events, and when they came: the same for all events of a request, which share an audit row as well."""

    team_id: TeamId
    key_id: ApiKeyId | None
    actor: str
    action: str
    request_id: str | None
    received_at: datetime
    audit_id: UUID


@dataclass(frozen=True, slots=True)
class Write:
    """An event on its way in: `calls_for` says which job it asks for (see events/ingest.sql)."""

    id: EventId
    new: NewEvent
    idempotency_key: str
    job_id: JobId
    calls_for: Call
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one event; `event_id` is None while another transaction is storing the same event."""

    event_id: EventId | None
    created: bool
    job_id: JobId | None
    job_source_type: str | None
    created_at: datetime | None


async def ingest(connection: Connection, writes: Sequence[Write]) -> Sequence[Written]:
    """Store events, their jobs and audit rows in one statement, one answer for each; idempotency keys must differ.

    Raises NotFound when a project or session was deleted meanwhile.
    """
    try:
        rows = await _ingest(connection, writes)
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("The project or session of this event was deleted.") from error
    return [
        Written(row["event_id"], row["created"], row["job_id"], row["job_source_type"], row["event_created_at"])
        for row in rows
    ]


async def _ingest(connection: Connection, writes: Sequence[Write]) -> Sequence[asyncpg.Record]:
    news = [write.new for write in writes]
    deliveries = [write.delivery for write in writes]
    return await connection.rows(
        "events/ingest",
        [write.id for write in writes],
        [new.project_id for new in news],
        [delivery.team_id for delivery in deliveries],
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
        [delivery.request_id for delivery in deliveries],
        [delivery.key_id for delivery in deliveries],
        [delivery.received_at for delivery in deliveries],
        [delivery.audit_id for delivery in deliveries],
        [delivery.actor for delivery in deliveries],
        [delivery.action for delivery in deliveries],
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


async def last_prompt(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId
) -> LastPrompt:
    """Return the newest prompt of a session."""
    row = await connection.row("events/last_prompt", project_id, team_id, session_id)
    return LastPrompt(row["prompts"], row["prompt"], row["received_at"], session_id) if row else LastPrompt()


async def blank_turn(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId, turn_key: str
) -> int:
    """Keep of a turn's events only that they happened; returns how many there are."""
    return await connection.run("events/blank_turn", team_id, project_id, session_id, turn_key)


async def queue_uncovered_turns(connection: Connection, idle: timedelta, window: timedelta) -> Sequence[Message]:
    """Queue a batch for every turn that is over and has events that no batch has read."""
    return [records.message(row) for row in await connection.rows("events/uncovered_turns", idle, window)]
