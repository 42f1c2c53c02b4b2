"""Forget everything that a project remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from ..domain.errors import NotFound
from ..domain.ids import ProjectId
from ..domain.principals import Principal, Scope
from ..domain.purge import Purged
from ..storage import audit, purge, tenants
from ..storage.database import Connection, Database

# A group of events that waits for a deleted row of this project holds up the events of others that came with it: no
# transaction may last for long.
_MOST_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Purge:
    """Deletes events, sessions, jobs and observations; the project, its keys, its audit log and its usage stay."""

    database: Database

    async def run(self, principal: Principal, project_id: ProjectId, request_id: str | None) -> Purged:
        """Delete what is there at the moment when the purge ends, and say how much it was.

        Most goes in small steps. The rest goes at once while nobody can write into the project: whoever is generating
        from it by then finds that the job is gone, and stores nothing. Run again, it goes on where it was cut short.
        Raises NotFound when the caller does not see the project.
        """
        principal.require(Scope.ADMIN)
        principal.require_project(project_id)
        async with self.database.transaction() as connection:
            if await tenants.project_by_id(connection, principal.team_id, project_id) is None:
                raise NotFound
            await _record(connection, principal, project_id, "project.purge_started", request_id)
        purged = Purged()
        for kind in purge.KINDS:
            purged += await self._most_of(principal, project_id, kind)
        async with self.database.transaction() as connection:
            if not await purge.hold(connection, principal.team_id, project_id):
                raise NotFound
            for kind in purge.KINDS:
                purged += await purge.delete(connection, principal.team_id, project_id, kind, None)
            await _record(connection, principal, project_id, "project.purged", request_id, asdict(purged))
        return purged

    async def _most_of(self, principal: Principal, project_id: ProjectId, kind: str) -> Purged:
        purged = Purged()
        while True:
            async with self.database.transaction() as connection:
                step = await purge.delete(connection, principal.team_id, project_id, kind, _MOST_AT_ONCE)
            purged += step
            if step.most < _MOST_AT_ONCE:
                return purged


async def _record(
    connection: Connection,
    principal: Principal,
    project_id: ProjectId,
    action: str,
    request_id: str | None,
    details: Mapping[str, object] | None = None,
) -> None:
    await audit.record(
        connection,
        principal.team_id,
        project_id,
        actor=principal.actor,
        action=action,
        resource_type="project",
        resource_id=project_id,
        request_id=request_id,
        api_key_id=principal.key_id,
        details=details,
    )
