"""`POST /v1/context`: what is remembered about a question, as one text for a client that puts it into a prompt."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from ..domain.ids import ProjectId
from . import wire
from .exchange import Answer, Exchange


class ContextBody(Struct, rename="camel", frozen=True):
    """What to remember: what matches the question, however long a prompt it is; without one, what is newest.

    With `tokenBudget`, what does not fit into it any more is left out.
    """

    project_id: UUID
    query: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    token_budget: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class GatheredReply(Struct):
    """Observations, the best match or the newest first, and their texts as one."""

    observations: list[wire.Observation]
    context: str


async def gather(exchange: Exchange, body: ContextBody) -> Answer[GatheredReply]:
    """Gather what is remembered about a question, or was learned last, as objects and as one text."""
    found = await exchange.services.context.about(
        exchange.principal,
        ProjectId(body.project_id),
        body.query or "",
        limit=body.limit,
        token_budget=body.token_budget,
    )
    return Answer(GatheredReply([wire.observation(one) for one, _ in found], "\n\n".join(text for _, text in found)))
