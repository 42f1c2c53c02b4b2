"""List and read projects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.errors import NotFound
from ..domain.ids import ProjectId
from ..domain.records import Project
from ..storage import projects
from ..storage.database import Database


@dataclass(frozen=True, slots=True)
class Projects:
    """The projects in which something was recorded."""

    database: Database

    async def list(self, *, key: str | None, name: str | None) -> Sequence[Project]:
        """Return all projects, or those of a key or a name."""
        return await self.database.read(lambda connection: projects.listed(connection, key, name))

    async def get(self, project_id: ProjectId) -> Project:
        """Return one project; raises NotFound."""
        project = await self.database.read(lambda connection: projects.get(connection, project_id))
        if project is None:
            raise NotFound
        return project
