"""Delete a project or a team for good, however much it holds."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.errors import Forbidden, NotFound
from ..domain.ids import ProjectId
from ..domain.principals import Principal, Scope
from ..storage import audit, tenants
from ..storage.database import Database
from .purge import Purge


@dataclass(frozen=True, slots=True)
class DeleteTenant:
    """Purges first, in steps: a delete of everything at once would be cut short by the time limit of a statement."""

    database: Database
    purge: Purge

    async def project(self, principal: Principal, project_id: ProjectId, request_id: str | None) -> None:
        """Delete a project with all that is in it; its team's audit log keeps that it was there. Raises NotFound."""
        await self.purge.run(principal, project_id, request_id)
        async with self.database.transaction() as connection:
            if not await tenants.delete_project(connection, principal.team_id, project_id):
                raise NotFound
            await audit.record(
                connection,
                principal,
                None,
                action="project.deleted",
                resource_type="project",
                resource_id=project_id,
                request_id=request_id,
            )

    async def team(self, principal: Principal, request_id: str | None) -> None:
        """Delete the caller's team with all that it owns, its audit log included, whoever makes projects meanwhile."""
        principal.require(Scope.ADMIN)
        if principal.project_id is not None:
            raise Forbidden
        is_gone = False
        while not is_gone:
            async with self.database.connection() as connection:
                if await tenants.team(connection, principal.team_id) is None:
                    raise NotFound
                left = await tenants.projects(connection, principal.team_id, None, None, None)
            for project in left:
                await self.project(principal, project.id, request_id)
            async with self.database.transaction() as connection:
                is_gone = await tenants.delete_team(connection, principal.team_id)
