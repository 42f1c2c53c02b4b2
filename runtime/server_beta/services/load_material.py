"""Load what a claimed job generates from: an event, a turn, or a whole session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ..domain.ids import EventId, derived_id
from ..domain.jobs import Claim, SourceType
from ..domain.turns import Material, Recorded
from ..storage import events, sessions
from ..storage.database import Connection

# Named by the envelope of a turn, not by anything that happened in it.
_ENVELOPE = frozenset({"SessionStart", "SessionEnd"})


@dataclass(frozen=True, slots=True)
class Source:
    """What a job generates from; `source_id` is what its observations are tied to."""

    material: Material
    source_id: UUID
    happened_at: datetime
    is_private: bool = False

    @property
    def covered_events(self) -> int:
        """How many events are read here that a batch counts."""
        return sum(event.event_type not in _ENVELOPE for event in self.material.events)


async def load_material(connection: Connection, claim: Claim, now: datetime) -> Source:
    """Read the source as it stands; what has been deleted meanwhile holds no events."""
    if claim.session_id is None or claim.source_type is SourceType.AGENT_EVENT:
        return await _load_event(connection, claim, now)
    session = await sessions.get(connection, claim.team_id, claim.session_id)
    root = session.project_root if session else None
    if claim.turn_key is not None:
        turn, is_private = await events.of_turn(
            connection, claim.team_id, claim.project_id, claim.session_id, claim.turn_key
        )
        if is_private:
            # An event that was stored in the same moment as the private prompt was not yet known to be private.
            await events.blank_turn(connection, claim.team_id, claim.project_id, claim.session_id, claim.turn_key)
        return _source(turn, root, derived_id("turn", claim.session_id, claim.turn_key), now, is_private)
    whole = await events.of_session(connection, claim.team_id, claim.project_id, claim.session_id)
    return _source(whole, root, claim.session_id, now, is_private=False)


async def _load_event(connection: Connection, claim: Claim, now: datetime) -> Source:
    event = await events.get(connection, claim.team_id, EventId(claim.source_id))
    if event is None:
        return _source((), None, claim.source_id, now, is_private=False)
    recorded = Recorded(event.event_type, event.payload, event.occurred_at)
    return _source((recorded,), None, event.id, now, bool(event.metadata.get("private")))


def _source(recorded: Sequence[Recorded], root: str | None, source_id: UUID, now: datetime, is_private: bool) -> Source:
    # What a client dates into the future would be the newest of all for ever.
    last = min(recorded[-1].occurred_at, now) if recorded else now
    return Source(Material(tuple(recorded), root), source_id, last, is_private)
