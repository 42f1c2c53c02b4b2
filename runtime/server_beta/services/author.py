"""Write, change and delete observations that a client words itself; none of it generates anything."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ..domain.authored import Authored, changed, new_draft
from ..domain.errors import NotFound
from ..domain.ids import ObservationId, ProjectId, SessionId
from ..domain.observations import Observation
from ..domain.principals import Principal, Scope
from ..storage import audit, observations
from ..storage.database import Connection, Database
from .aside import aside

_MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Author:
    """What the caller itself adds to, corrects in and takes out of its projects' memory."""

    database: Database

    async def write(
        self,
        principal: Principal,
        project_id: ProjectId,
        session_id: SessionId | None,
        said: Authored,
        request_id: str | None,
    ) -> Observation:
        """Store an observation; raises NotFound when the project or the session in it is not the caller's."""
        principal.require(Scope.OBSERVATIONS_WRITE)
        principal.require_project(project_id)
        draft = await aside(partial(new_draft, said), said.metadata)
        async with self.database.transaction() as connection:
            observation = await observations.insert(connection, principal.team_id, project_id, session_id, draft)
            await observations.link(connection, observation, _MANUAL, observation.id, None)
            await _record(connection, principal, observation, "observation.created", request_id)
        return observation

    async def change(
        self, principal: Principal, observation_id: ObservationId, said: Authored, request_id: str | None
    ) -> Observation:
        """Change what was said and nothing else, whoever changes other members at the same time.

        What was generated is the caller's from now on: no later generation replaces it.
        """
        principal.require(Scope.OBSERVATIONS_WRITE)
        async with self.database.transaction() as connection:
            held = await self._hold(connection, principal, observation_id)
            draft = await aside(partial(changed, held.draft, said), said.metadata)
            observation = await observations.update(connection, held, draft)
            await observations.link(connection, observation, _MANUAL, observation.id, None)
            await _record(connection, principal, observation, "observation.updated", request_id)
        return observation

    async def delete(self, principal: Principal, observation_id: ObservationId, request_id: str | None) -> None:
        """Delete an observation for good; raises NotFound when the caller does not see it, or any more."""
        principal.require(Scope.OBSERVATIONS_WRITE)
        async with self.database.transaction() as connection:
            held = await self._hold(connection, principal, observation_id)
            if not await observations.delete(connection, held):
                raise NotFound
            await _record(connection, principal, held, "observation.deleted", request_id)

    async def _hold(self, connection: Connection, principal: Principal, observation_id: ObservationId) -> Observation:
        held = await observations.hold(connection, principal.team_id, principal.project_id, observation_id)
        if held is None:
            raise NotFound
        return held


async def _record(
    connection: Connection, principal: Principal, observation: Observation, action: str, request_id: str | None
) -> None:
    await audit.record(
        connection,
        principal,
        ProjectId(observation.project_id),
        action=action,
        resource_type="observation",
        resource_id=observation.id,
        request_id=request_id,
    )
