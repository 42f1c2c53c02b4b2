"""Choose and render what a session starts with, and what is known about a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..domain.errors import NotFound
from ..domain.ids import ProjectId, SessionId
from ..domain.observations import Observation
from ..domain.ports import Clock
from ..domain.records import Project
from ..storage import observations, projects
from ..storage.connection import Connection
from ..storage.database import Database
from .file_note import render_file_note
from .page import Page, render_page

# More candidates than any budget has room for, so that the page's choice is about value and not about the limit.
_SUMMARIES = 20
_CANDIDATES = 300
_ABOUT_A_FILE = 5


@dataclass(frozen=True, slots=True)
class Context:
    """What the projects remember, as pages to read."""

    database: Database
    clock: Clock
    token_budget: int

    async def recent(self, *, project_id: ProjectId | None, project_key: str | None) -> Page:
        """Render what a session of this project would start with; raises NotFound when there is no such project."""

        def find(connection: Connection) -> Project | None:
            if project_id is not None:
                return projects.get(connection, project_id)
            return projects.by_key(connection, project_key or "")

        project = await self.database.read(find)
        if project is None:
            raise NotFound
        return await self.page(project)

    async def page(self, project: Project, *, since: datetime | None = None, but: SessionId | None = None) -> Page:
        """Render the page of a project; its text is empty when there is nothing to remember.

        With `since`, only what other sessions than `but` have learned from then on.
        """
        left_out = but if since is not None else None

        def find(connection: Connection) -> tuple[list[Observation], list[Observation]]:
            def newest(limit: int, *, are_summaries: bool) -> list[Observation]:
                found = observations.recent(
                    connection, project.id, are_summaries=are_summaries, limit=limit, since=since, but=left_out
                )
                return [one.observation for one in found]

            return newest(_SUMMARIES, are_summaries=True), newest(_CANDIDATES, are_summaries=False)

        summaries, others = await self.database.read(find)
        return render_page(project.name, summaries, others, token_budget=self.token_budget, now=self.clock.now())

    async def about_file(self, project_id: ProjectId, path: str) -> str:
        """Say in a few lines what changed a file before; empty when nothing did."""
        found = await self.database.read(
            lambda connection: observations.about_file(connection, project_id, path, _ABOUT_A_FILE)
        )
        return render_file_note(path, [one.observation for one in found])
