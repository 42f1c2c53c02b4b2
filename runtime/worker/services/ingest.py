"""Record events: each event and the job that it calls for, in one transaction, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..domain.hook_events import HookEvent
from ..domain.ids import EventId, derived_id
from ..domain.jobs import SourceType
from ..domain.ports import Clock
from ..domain.records import Recording, Session, Turn
from ..storage import events, jobs, projects, sessions, turns
from ..storage.connection import Connection
from ..storage.database import Database

# Named by the envelope of a session, not by anything that happened in a turn of it.
_ENVELOPE = frozenset({"SessionStart", "SessionEnd"})
# What ends a turn: the agent has answered, or the client has put the whole conversation into a summary.
_CLOSING = frozenset({"Stop", "PostCompact"})
# The one turn of a session whose client does not say which prompt an event belongs to.
_UNNAMED_TURN = ""
# What is kept of an event in a private turn: that it happened.
_KEPT_OF_PRIVATE = ("hook_event_name", "session_id", "prompt_id")


@dataclass(frozen=True, slots=True)
class Ingest:
    """Takes hook events in; `wake` is called when there is a new job."""

    database: Database
    clock: Clock
    wake: Callable[[], None]

    async def record(self, event: HookEvent) -> Recording:
        """Store the event unless it is known, with its project, session and turn, and ask for what it calls for."""
        recording = await self.database.write(lambda connection: _record(connection, event, self.clock.now()))
        if recording.queued:
            self.wake()
        return recording


def queue_turn(connection: Connection, turn: Turn, now: datetime) -> None:
    """Close a turn and ask for its observations, in the caller's transaction."""
    turns.close(connection, turn.id)
    jobs.queue(connection, turn.project_id, turn.session_id, SourceType.EVENT_BATCH, turn.id, now)


def _record(connection: Connection, event: HookEvent, now: datetime) -> Recording:
    project = projects.find_or_create(connection, event.project.key, event.project.name, now)
    # A clock that goes wrong on the client's side must not put an event behind everything that is yet to come.
    occurred_at = min(event.occurred_at, now)
    session = sessions.find_or_create(
        connection, project.id, event.session_external_id, event.project.root, started_at=occurred_at, now=now
    )
    event_id = EventId(derived_id("event", project.id, event.event_id))
    is_new = not events.is_known(connection, event_id)
    queued = False
    if is_new:
        turn = _turn(connection, session, event, now)
        _store(connection, event_id, session, turn, event, occurred_at, now)
        queued = _call(connection, session, turn, event, now)
    delivers_context = _settle_context(connection, session, event, now)
    return Recording(project, session, created=is_new, queued=queued, delivers_context=delivers_context)


def _turn(connection: Connection, session: Session, event: HookEvent, now: datetime) -> Turn | None:
    if event.event_type in _ENVELOPE:
        return None
    key = event.turn_key or _UNNAMED_TURN
    return turns.touch(connection, session.project_id, session.id, key, is_private=event.is_private, now=now)


def _store(
    connection: Connection,
    event_id: EventId,
    session: Session,
    turn: Turn | None,
    event: HookEvent,
    occurred_at: datetime,
    now: datetime,
) -> None:
    payload = event.payload
    if turn is not None and turn.is_private:
        payload = {name: payload[name] for name in _KEPT_OF_PRIVATE if name in payload}
        if event.is_private:
            events.blank_turn(connection, turn.id)
    events.insert(
        connection,
        event_id,
        session.project_id,
        session.id,
        turn.id if turn else None,
        event_type=event.event_type,
        payload=payload,
        occurred_at=occurred_at,
        received_at=now,
    )


def _call(connection: Connection, session: Session, turn: Turn | None, event: HookEvent, now: datetime) -> bool:
    """Queue what the event asks for, and tell whether that was anything."""
    over: list[Turn] = []
    if turn is not None and (event.event_type in _CLOSING or not turn.is_open):
        # A turn that is closed has a job already: what comes late sends it to be generated anew.
        over.append(turn)
    if event.is_prompt or event.is_session_end:
        over.extend(turns.open_of_session(connection, session.id, but=turn.id if turn else None))
    for one in over:
        queue_turn(connection, one, now)
    if event.is_session_end:
        sessions.end(connection, session.id, now)
    return bool(over)


def _settle_context(connection: Connection, session: Session, event: HookEvent, now: datetime) -> bool:
    """Note a context that the client did not get, or take over its delivery with this prompt."""
    if event.event_type == "SessionStart" and event.is_spooled:
        # Also when the event is known: the answer to its first delivery came too late.
        sessions.owe_context(connection, session.id, now)
    return event.is_prompt and not event.is_spooled and sessions.settle_context(connection, session.id, now)
