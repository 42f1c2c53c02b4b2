"""Read observations: by id, as a list, by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain.errors import InvalidInput, Issue, NotFound
from ..domain.ids import ObservationId, ProjectId
from ..domain.observation_ids import is_observation_id, observation_ids
from ..domain.observations import Observation
from ..domain.records import Hit, ObservationFilter, SearchRequest, Stored, TimelineRequest
from ..domain.text import scrub
from ..storage import observations, projects
from ..storage.connection import Connection
from ..storage.database import Database

# Short ids may name more than was asked for, though not by chance.
_MOST_NAMED = 200
_NAMED_SCORE = 1.0


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
        """Return a page, newest first, and whether there is more after it; raises NotFound for an unknown project."""
        one_more = replace(wanted, limit=wanted.limit + 1)

        def find(connection: Connection) -> Sequence[Stored]:
            _check_project(connection, wanted.project_id)
            return observations.listed(connection, one_more)

        found = await self.database.read(find)
        return found[: wanted.limit], len(found) > wanted.limit

    async def named(self, ids: Sequence[str]) -> Sequence[Observation]:
        """Return the observations of these whole or short ids, oldest first; those that are not there are absent."""
        wanted = observation_ids(ids)
        found = await self.database.read(lambda connection: observations.named(connection, wanted, _MOST_NAMED))
        return [one.observation for one in found]

    async def timeline(self, request: TimelineRequest) -> tuple[Observation, Sequence[Observation]]:
        """Return the anchor, and it amid its neighbours, oldest first.

        Raises NotFound when it is not there, InvalidInput when its short id names several.
        """

        def find(connection: Connection) -> tuple[Stored, Sequence[Stored]]:
            found = observations.named(connection, observation_ids([request.anchor]), _MOST_NAMED)
            if not found:
                raise NotFound(f"There is no observation {request.anchor} here.")
            if len(found) > 1:
                raise _ambiguous(request.anchor, found)
            return found[0], observations.around(connection, found[0], request.before, request.after)

        anchor, around = await self.database.read(find)
        return anchor.observation, [one.observation for one in around]

    async def search(self, request: SearchRequest) -> Sequence[Hit]:
        """Return what matches any word of the question, the best first; before that, what an id in its place names.

        Raises NotFound for an unknown project.
        """
        asked = replace(request, query=scrub(request.query).strip())

        def find(connection: Connection) -> Sequence[Hit]:
            _check_project(connection, asked.project_id)
            hits = observations.search(connection, asked)
            if asked.offset or not is_observation_id(asked.query):
                return hits
            named = [
                one.observation
                for one in observations.named(connection, observation_ids([asked.query]), _MOST_NAMED)
                if asked.project_id in {None, one.observation.project_id}
            ]
            seen = {one.id for one in named}
            first = [Hit(one, _NAMED_SCORE, one.draft.title) for one in named]
            return [*first, *(hit for hit in hits if hit.observation.id not in seen)][: asked.limit]

        return await self.database.read(find)


def _check_project(connection: Connection, project_id: ProjectId | None) -> None:
    if project_id is not None and projects.get(connection, project_id) is None:
        raise NotFound


def _ambiguous(anchor: str, found: Sequence[Stored]) -> InvalidInput:
    whole = ", ".join(str(one.observation.id) for one in found)
    message = f"{anchor} names {len(found)} observations; give one of these ids: {whole}"
    return InvalidInput(f"{message}.", (Issue("$.anchor", message, "ambiguous"),))
