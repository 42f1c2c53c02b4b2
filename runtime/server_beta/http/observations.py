"""`/v1/observations`: what was learned, one by one and in lists."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from ..domain.errors import Issue
from ..domain.ids import ObservationId, ProjectId, SessionId
from ..domain.observation_ids import is_observation_id
from ..domain.records import ObservationFilter
from . import wire
from .cursors import read_cursor, write_cursor
from .exchange import Answer, Exchange
from .fields import Cursor, Instant, Name, PageSize, Word, instant
from .validation import invalid


class ObservationsQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which observations to list. An optional text `null` would be read as absence, so absence is UNSET here."""

    project_id: UUID | UnsetType = UNSET
    kind: Word | UnsetType = UNSET
    server_session_id: UUID | UnsetType = UNSET
    since: Instant | UnsetType = UNSET
    until: Instant | UnsetType = UNSET
    cursor: Cursor | UnsetType = UNSET
    limit: PageSize = 50

    def to_domain(self) -> ObservationFilter:
        """Make the filter; raises InvalidInput for a cursor that this server did not give."""
        return ObservationFilter(
            project_id=None if self.project_id is UNSET else ProjectId(self.project_id),
            kind=None if self.kind is UNSET else self.kind,
            session_id=None if self.server_session_id is UNSET else SessionId(self.server_session_id),
            since=None if self.since is UNSET else instant(self.since),
            until=None if self.until is UNSET else instant(self.until),
            after=None if self.cursor is UNSET else read_cursor(self.cursor),
            limit=self.limit,
        )


class NamedBody(Struct, rename="camel", frozen=True):
    """Observations by their ids, whole or the eight digits that a page shows."""

    ids: Annotated[list[Name], Meta(min_length=1, max_length=100)]

    def to_domain(self) -> list[str]:
        """Give the ids; raises InvalidInput that lists every text that cannot be one."""
        check_ids({f"$.ids[{index}]": text for index, text in enumerate(self.ids)})
        return self.ids


class ObservationReply(Struct):
    """One observation."""

    observation: wire.Observation


class ObservationsReply(Struct):
    """Observations."""

    observations: list[wire.Observation]


class ObservationsPage(ObservationsReply, rename="camel"):
    """Observations, newest first; `nextCursor` is null on the last page."""

    next_cursor: str | None


async def list_all(exchange: Exchange, query: ObservationsQuery) -> Answer[ObservationsPage]:
    """List observations, newest first."""
    found, has_more = await exchange.services.observations.list(exchange.principal, query.to_domain())
    next_cursor = write_cursor(found[-1].created_at, found[-1].id) if has_more else None
    return Answer(ObservationsPage([wire.observation(one) for one in found], next_cursor))


async def get(exchange: Exchange, id: UUID) -> Answer[ObservationReply]:
    """Read one observation."""
    observation = await exchange.services.observations.get(exchange.principal, ObservationId(id))
    return Answer(ObservationReply(wire.observation(observation)))


async def named(exchange: Exchange, body: NamedBody) -> Answer[ObservationsReply]:
    """Read observations by their ids, oldest first; ids that name nothing here are absent."""
    found = await exchange.services.observations.named(exchange.principal, body.to_domain())
    return Answer(ObservationsReply([wire.observation(one) for one in found]))


def check_ids(texts: dict[str, str]) -> None:
    """Raise InvalidInput that lists, by path, every text that cannot be an observation's id."""
    message = "must be an id, or the eight digits that a page shows of one"
    issues = [Issue(path, message, "invalid_value") for path, text in texts.items() if not is_observation_id(text)]
    if issues:
        raise invalid(issues)
