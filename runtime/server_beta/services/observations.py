"""Read observations: by id, as a list, by question; and the events that they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..domain.errors import NotFound
from ..domain.ids import EventId, ObservationId, ProjectId
from ..domain.observations import Observation
from ..domain.principals import Principal, Scope
from ..domain.records import Event, Hit, ObservationFilter, SearchRequest
from ..domain.text import scrub
from ..storage import events, observations
from ..storage.database import Database


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
        """Return a page, newest first, and whether there is more after it."""
        principal.require(Scope.OBSERVATIONS_READ)
        narrowed = replace(wanted, project_id=_visible(principal, wanted.project_id), limit=wanted.limit + 1)
        async with self.database.connection() as connection:
            found = await observations.list_filtered(connection, principal.team_id, narrowed)
        return found[: wanted.limit], len(found) > wanted.limit

    async def search(self, principal: Principal, request: SearchRequest) -> Sequence[Hit]:
        """Return what matches any word of the question, the best first."""
        principal.require(Scope.OBSERVATIONS_READ)
        narrowed = replace(
            request, project_id=_visible(principal, request.project_id), query=scrub(request.query).strip()
        )
        async with self.database.connection() as connection:
            return await observations.search(connection, principal.team_id, narrowed)

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


def _visible(principal: Principal, wanted: ProjectId | None) -> ProjectId | None:
    if wanted is None:
        return principal.project_id
    principal.require_project(wanted)
    return wanted
