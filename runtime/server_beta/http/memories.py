"""`/v1/memories`: observations under the name that clients of the TypeScript server know them by."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from ..domain.ids import ObservationId
from . import observations, wire
from .authored import NewObservation, ObservationChange
from .exchange import Answer, Exchange


class MemoryReply(Struct):
    """One observation."""

    memory: wire.Observation


async def create(exchange: Exchange, body: NewObservation) -> Answer[MemoryReply]:
    """Store an observation that the client words itself; nothing is generated from it."""
    return Answer(MemoryReply(await observations.written(exchange, body)), 201)


async def get(exchange: Exchange, id: UUID) -> Answer[MemoryReply]:
    """Read one observation."""
    observation = await exchange.services.observations.get(exchange.principal, ObservationId(id))
    return Answer(MemoryReply(wire.observation(observation)))


async def change(exchange: Exchange, id: UUID, body: ObservationChange) -> Answer[MemoryReply]:
    """Change members of an observation.

    What the server had generated is the client's from then on: no later generation replaces it.
    """
    return Answer(MemoryReply(await observations.changed(exchange, id, body)))
