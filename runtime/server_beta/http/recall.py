"""What is remembered: the context of a session start, search, and what happened around an observation."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from ..domain.ids import ProjectId
from ..domain.records import SearchRequest, TimelineRequest
from . import wire
from .exchange import Answer, Exchange
from .fields import ExactlyOne, ExternalId, FilePath, Instant, ObservationName, Question, Word, instant


class ContextQuery(ExactlyOne, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which project's context to render: by id, or by key."""

    exactly_one = ("project_id", "project")

    project_id: UUID | UnsetType = UNSET
    project: ExternalId | UnsetType = UNSET


class TimelineQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Around which observation to look, and how far."""

    anchor: ObservationName
    before: Annotated[int, Meta(ge=0, le=50)] = 5
    after: Annotated[int, Meta(ge=0, le=50)] = 5

    def to_domain(self) -> TimelineRequest:
        """Make the request."""
        return TimelineRequest(self.anchor, self.before, self.after)


class SearchBody(Struct, rename="camel", frozen=True):
    """A question to the store."""

    query: Question
    project_id: UUID | None = None
    kinds: Annotated[list[Word], Meta(max_length=50)] | None = None
    since: Instant | None = None
    until: Instant | None = None
    files: Annotated[list[FilePath], Meta(max_length=100)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    offset: Annotated[int, Meta(ge=0, le=10_000)] = 0

    def to_domain(self) -> SearchRequest:
        """Make the question; empty lists filter nothing."""
        return SearchRequest(
            query=self.query,
            project_id=None if self.project_id is None else ProjectId(self.project_id),
            kinds=tuple(self.kinds) if self.kinds else None,
            since=None if self.since is None else instant(self.since),
            until=None if self.until is None else instant(self.until),
            files=tuple(self.files) if self.files else None,
            limit=self.limit,
            offset=self.offset,
        )


class ContextReply(Struct, rename="camel"):
    """What a session start injects, and the observations that are named in it."""

    context: str
    observation_ids: list[UUID]


class TimelineReply(Struct, rename="camel"):
    """An observation amid its neighbours, oldest first."""

    anchor_id: UUID
    observations: list[wire.Observation]


class SearchReply(Struct):
    """What a search found, best match first."""

    observations: list[wire.Hit]


async def recent_context(exchange: Exchange, query: ContextQuery) -> Answer[ContextReply]:
    """Render what a session start injects, and name the observations in it."""
    page = await exchange.services.context.recent(
        exchange.principal,
        project_id=None if query.project_id is UNSET else ProjectId(query.project_id),
        project_key=None if query.project is UNSET else query.project,
    )
    return Answer(ContextReply(page.text, list(page.ids)))


async def timeline(exchange: Exchange, query: TimelineQuery) -> Answer[TimelineReply]:
    """Read an observation amid its neighbours in its project."""
    anchor, around = await exchange.services.observations.timeline(exchange.principal, query.to_domain())
    return Answer(TimelineReply(anchor.id, [wire.observation(one) for one in around]))


async def search(exchange: Exchange, body: SearchBody) -> Answer[SearchReply]:
    """Search the observations that the caller sees."""
    hits = await exchange.services.observations.search(exchange.principal, body.to_domain())
    return Answer(SearchReply([wire.hit(hit) for hit in hits]))
