"""Read observations: by id, as a list, by question; and the events that they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain.errors import InvalidInput, Issue, NotFound
from ..domain.ids import EventId, ObservationId, ProjectId
from ..domain.observation_ids import is_observation_id, observation_ids
from ..domain.observations import Observation
from ..domain.principals import Principal, Scope
from ..domain.records import Event, Hit, ObservationFilter, SearchRequest, TimelineRequest
from ..domain.text import scrub
from ..storage import events, observations
from ..storage.database import Database
from .visibility import require_project, require_session

# Short ids may name more than was asked for, though not by chance.
_MOST_NAMED = 200
_NAMED_SCORE = 1.0


@dataclass(frozen=True, slots=True)
class Observations:
    """What the caller's team has learned."""

    database: Database

    async def get(self, principal: Principal, observation_id: ObservationId) -> Observation:
        """Return one observation; raises NotFound when the caller does not see it."""
        principal.require(Scope.OBSERVATIONS_READ)
        async with self.database.connection() as connection:
            observation = await observations.get(connection, principal.team_id, observation_id)
        if observation is None:
            raise NotFound
        principal.require_project(ProjectId(observation.project_id))
        return observation

    async def list(self, principal: Principal, wanted: ObservationFilter) -> tuple[Sequence[Observation], bool]:
        """Return a page, newest first, and whether there is more after it.

        Raises NotFound for a project or a session that the caller does not see.
        """
        principal.require(Scope.OBSERVATIONS_READ)
        narrowed = replace(wanted, project_id=wanted.project_id or principal.project_id, limit=wanted.limit + 1)
        async with self.database.connection() as connection:
            await require_project(connection, principal, wanted.project_id)
            await require_session(connection, principal, wanted.session_id)
            found = await observations.list_filtered(connection, principal.team_id, narrowed)
        return found[: wanted.limit], len(found) > wanted.limit

    async def named(self, principal: Principal, ids: Sequence[str]) -> Sequence[Observation]:
        """Return the observations of these whole or short ids that the caller sees, oldest first."""
        principal.require(Scope.OBSERVATIONS_READ)
        async with self.database.connection() as connection:
            return await observations.named(
                connection, principal.team_id, principal.project_id, observation_ids(ids), _MOST_NAMED
            )

    async def timeline(
        self, principal: Principal, request: TimelineRequest
    ) -> tuple[Observation, Sequence[Observation]]:
        """Return the anchor, and it amid its neighbours, oldest first.

        Raises NotFound when the caller does not see it, InvalidInput when its short id names several.
        """
        found = await self.named(principal, [request.anchor])
        if not found:
            raise NotFound(f"There is no observation {request.anchor} here.")
        if len(found) > 1:
            raise _ambiguous(request.anchor, found)
        async with self.database.connection() as connection:
            around = await observations.around(connection, principal.team_id, found[0], request.before, request.after)
        return found[0], around

    async def search(self, principal: Principal, request: SearchRequest) -> Sequence[Hit]:
        """Return what matches any word of the question, the best first; before that, what an id in its place names.

        Raises NotFound for a project that the caller does not see.
        """
        principal.require(Scope.OBSERVATIONS_READ)
        project_id = request.project_id or principal.project_id
        narrowed = replace(request, project_id=project_id, query=scrub(request.query).strip())
        async with self.database.connection() as connection:
            await require_project(connection, principal, request.project_id)
            hits = await observations.search(connection, principal.team_id, narrowed)
            if narrowed.offset or not is_observation_id(narrowed.query):
                return hits
            ids = observation_ids([narrowed.query])
            named = await observations.named(connection, principal.team_id, narrowed.project_id, ids, _MOST_NAMED)
        seen = {one.id for one in named}
        first = [Hit(one, _NAMED_SCORE, one.draft.title) for one in named]
        return [*first, *(hit for hit in hits if hit.observation.id not in seen)][: narrowed.limit]

    async def event(self, principal: Principal, event_id: EventId) -> Event:
        """Return one event; raises NotFound when the caller does not see it."""
        principal.require(Scope.OBSERVATIONS_READ)
        async with self.database.connection() as connection:
            event = await events.get(connection, principal.team_id, event_id)
        if event is None:
            raise NotFound
        principal.require_project(event.project_id)
        return event

    async def of_event(self, principal: Principal, event_id: EventId) -> Sequence[Observation]:
        """Return what was generated from one event; raises NotFound when the caller does not see the event."""
        event = await self.event(principal, event_id)
        async with self.database.connection() as connection:
            return await observations.of_event(connection, principal.team_id, event.project_id, event.id)


def _ambiguous(anchor: str, found: Sequence[Observation]) -> InvalidInput:
    whole = ", ".join(str(one.id) for one in found)
    message = f"{anchor} names {len(found)} observations; give one of these ids: {whole}"
    return InvalidInput(f"{message}.", (Issue("$.anchor", message, "ambiguous"),))
