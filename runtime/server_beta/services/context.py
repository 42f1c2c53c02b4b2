"""Choose and render what a session starts with, and what is known about a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..domain.errors import NotFound
from ..domain.ids import ProjectId, SessionId, TeamId
from ..domain.observations import SUMMARY_KIND, Observation
from ..domain.ports import Clock
from ..domain.principals import Principal, Scope
from ..domain.records import Project
from ..storage import observations, tenants
from ..storage.database import Database
from .file_note import render_file_note
from .page import Page, render_page

# More candidates than any budget has room for, so that the page's choice is about value and not about the limit.
_SUMMARIES = 20
_CANDIDATES = 300
_ABOUT_A_FILE = 5


@dataclass(frozen=True, slots=True)
class Context:
    """What the caller's projects remember, as pages to read."""

    database: Database
    clock: Clock
    token_budget: int

    async def recent(self, principal: Principal, *, project_id: ProjectId | None, project_key: str | None) -> Page:
        """Render what a session of this project would start with; raises NotFound when the caller does not see it."""
        principal.require(Scope.OBSERVATIONS_READ)
        async with self.database.connection() as connection:
            project = (
                await tenants.project_by_id(connection, principal.team_id, project_id)
                if project_id is not None
                else await tenants.project_by_key(connection, principal.team_id, project_key or "")
            )
        if project is None:
            raise NotFound
        principal.require_project(project.id)
        return self._render(project, await self._candidates(project))

    async def page_text(self, project: Project, *, since: datetime | None = None, but: SessionId | None = None) -> str:
        """Render the page of a project, empty when there is nothing to remember.

        With `since`, only what other sessions than `but` have learned from then on.
        """
        found = await self._candidates(project)
        if since is not None:
            found = [one for one in found if one.updated_at >= since and one.session_id != but]
        return self._render(project, found).text

    async def _candidates(self, project: Project) -> Sequence[Observation]:
        async with self.database.connection() as connection:
            return await observations.recent(
                connection, project.team_id, project.id, summaries=_SUMMARIES, others=_CANDIDATES
            )

    def _render(self, project: Project, found: Sequence[Observation]) -> Page:
        return render_page(
            project.name,
            [observation for observation in found if observation.draft.kind == SUMMARY_KIND],
            [observation for observation in found if observation.draft.kind != SUMMARY_KIND],
            token_budget=self.token_budget,
            now=self.clock.now(),
        )

    async def about_file(self, team_id: TeamId, project_id: ProjectId, path: str) -> str:
        """Say in a few lines what changed a file before; empty when nothing did."""
        async with self.database.connection() as connection:
            found = await observations.about_file(connection, team_id, project_id, path, _ABOUT_A_FILE)
        return render_file_note(path, found)
