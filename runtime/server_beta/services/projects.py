"""Find, create and list projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.errors import Forbidden, InvalidInput, Issue, NotFound
from ..domain.ids import ProjectId
from ..domain.principals import Principal, Scope
from ..domain.privacy import protect_text
from ..domain.records import Project
from ..storage import audit, tenants
from ..storage.database import Database


@dataclass(frozen=True, slots=True)
class Projects:
    """The projects of the caller's team."""

    database: Database

    async def list(self, principal: Principal, *, key: str | None = None, name: str | None = None) -> Sequence[Project]:
        """Return the projects that the caller sees, narrowed to a key or a name where given."""
        principal.require(Scope.OBSERVATIONS_READ)
        async with self.database.connection() as connection:
            return await tenants.projects(connection, principal.team_id, principal.project_id, key, name)

    async def get(self, principal: Principal, project_id: ProjectId) -> Project:
        """Return one project; raises NotFound when the caller does not see it."""
        principal.require(Scope.OBSERVATIONS_READ)
        principal.require_project(project_id)
        async with self.database.connection() as connection:
            project = await tenants.project_by_id(connection, principal.team_id, project_id)
        if project is None:
            raise NotFound
        return project

    async def find_or_create(
        self, principal: Principal, key: str, name: str, request_id: str | None
    ) -> tuple[Project, bool]:
        """Return the team's project of that key and whether it is new.

        A key for one project finds that project only and never makes another: NotFound for it, Forbidden for a
        caller without `projects:write`.
        """
        key = protect_text(key)
        if not key.strip():
            raise InvalidInput(
                "A project needs a key that is not private.", [Issue("$.key", "is empty or private", "empty")]
            )
        name = protect_text(name) or key
        async with self.database.connection() as connection:
            known = await tenants.project_by_key(connection, principal.team_id, key)
        if known is not None:
            principal.require_project(known.id)
            return known, False
        if principal.project_id is not None:
            raise NotFound
        if Scope.PROJECTS_WRITE not in principal.scopes and Scope.ADMIN not in principal.scopes:
            raise Forbidden
        async with self.database.transaction() as connection:
            project, is_new = await tenants.find_or_create_project(connection, principal.team_id, key, name)
            if not is_new:
                # Another caller was faster.
                return project, False
            await audit.record(
                connection,
                principal,
                project.id,
                action="project.created",
                resource_type="project",
                resource_id=project.id,
                request_id=request_id,
            )
        return project, True
