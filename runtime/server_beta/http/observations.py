"""`/v1/observations`: what was learned, one by one and in lists."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from ..domain.ids import ObservationId, ProjectId, SessionId
from ..domain.records import ObservationFilter
from . import wire
from .authored import NewObservation, ObservationChange
from .cursors import read_cursor, write_cursor
from .exchange import Answer, Exchange
from .fields import Cursor, Instant, ObservationName, PageSize, Word, instant


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
            after=None if self.cursor is UNSET else read_cursor("observations", self.cursor),
            limit=self.limit,
        )


class NamedBody(Struct, rename="camel", frozen=True):
    """Observations by their ids, whole or the eight digits that a page shows."""

    ids: Annotated[list[ObservationName], Meta(min_length=1, max_length=100)]


class ObservationReply(Struct):
    """One observation."""

    observation: wire.Observation


class DeletedReply(Struct):
    """Which observation is gone."""

    id: UUID
    deleted: Literal[True] = True


class ObservationsReply(Struct):
    """Observations, in the order that the route tells."""

    observations: list[wire.Observation]


class ObservationsPage(ObservationsReply, rename="camel"):
    """Observations, newest first; `nextCursor` is null on the last page."""

    next_cursor: str | None


async def list_all(exchange: Exchange, query: ObservationsQuery) -> Answer[ObservationsPage]:
    """List observations, newest first."""
    found, has_more = await exchange.services.observations.list(exchange.principal, query.to_domain())
    next_cursor = write_cursor("observations", found[-1].created_at, found[-1].id) if has_more else None
    return Answer(ObservationsPage([wire.observation(one) for one in found], next_cursor))


async def get(exchange: Exchange, id: UUID) -> Answer[ObservationReply]:
    """Read one observation."""
    observation = await exchange.services.observations.get(exchange.principal, ObservationId(id))
    return Answer(ObservationReply(wire.observation(observation)))


async def create(exchange: Exchange, body: NewObservation) -> Answer[ObservationReply]:
    """Store an observation that the client words itself; nothing is generated from it."""
    return Answer(ObservationReply(await written(exchange, body)), 201)


async def change(exchange: Exchange, id: UUID, body: ObservationChange) -> Answer[ObservationReply]:
    """Change members of an observation.

    What the server had generated is the client's from then on: no later generation replaces it.
    """
    return Answer(ObservationReply(await changed(exchange, id, body)))


async def delete(exchange: Exchange, id: UUID) -> Answer[DeletedReply]:
    """Delete an observation for good."""
    await exchange.services.author.delete(exchange.principal, ObservationId(id), exchange.request_id)
    return Answer(DeletedReply(id))


async def written(exchange: Exchange, body: NewObservation) -> wire.Observation:
    """Store what a body says."""
    session_id = None if body.server_session_id is None else SessionId(body.server_session_id)
    observation = await exchange.services.author.write(
        exchange.principal, ProjectId(body.project_id), session_id, body.to_domain(), exchange.request_id
    )
    return wire.observation(observation)


async def changed(exchange: Exchange, observation_id: UUID, body: ObservationChange) -> wire.Observation:
    """Change what a body says."""
    observation = await exchange.services.author.change(
        exchange.principal, ObservationId(observation_id), body.to_domain(), exchange.request_id
    )
    return wire.observation(observation)


async def named(exchange: Exchange, body: NamedBody) -> Answer[ObservationsReply]:
    """Read observations by their ids, oldest first; ids that name nothing here are absent."""
    found = await exchange.services.observations.named(exchange.principal, body.ids)
    return Answer(ObservationsReply([wire.observation(one) for one in found]))
