"""Read observations: by id, as a list, by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain.errors import NotFound
from ..domain.ids import ObservationId
from ..domain.observations import Observation
from ..domain.records import Hit, ObservationFilter, SearchRequest, Stored
from ..domain.text import scrub
from ..storage import observations
from ..storage.database import Database


@dataclass(frozen=True, slots=True)
class Observations:
    """What was learned."""

    database: Database

    async def get(self, observation_id: ObservationId) -> Observation:
        """Return one observation; raises NotFound."""
        found = await self.database.read(lambda connection: observations.get(connection, observation_id))
        if found is None:
            raise NotFound
        return found.observation

    async def list(self, wanted: ObservationFilter) -> tuple[Sequence[Stored], bool]:
        """Return a page, newest first, and whether there is more after it."""
        one_more = replace(wanted, limit=wanted.limit + 1)
        found = await self.database.read(lambda connection: observations.listed(connection, one_more))
        return found[: wanted.limit], len(found) > wanted.limit

    async def search(self, request: SearchRequest) -> Sequence[Hit]:
        """Return what matches any word of the question, the best first."""
        asked = replace(request, query=scrub(request.query))
        return await self.database.read(lambda connection: observations.search(connection, asked))
