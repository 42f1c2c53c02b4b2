"""Choose and render what a session starts with, and what is known about a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..domain.errors import NotFound
from ..domain.ids import ProjectId, SessionId, TeamId
from ..domain.observations import SUMMARY_KIND, Observation, content_of
from ..domain.ports import Clock
from ..domain.principals import Principal, Scope
from ..domain.records import ObservationFilter, Project, SearchRequest
from ..domain.text import estimated_tokens, neutralise, scrub
from ..storage import observations, tenants
from ..storage.database import Database
from .file_note import render_file_note
from .page import Page, render_page
from .visibility import require_project

# More candidates than any budget has room for, so that the page's choice is about value and not about the limit.
_SUMMARIES = 20
_CANDIDATES = 300
_ABOUT_A_FILE = 5
# A question may be a whole prompt; what it is about is said at its beginning.
_QUESTION_CHARACTERS = 4000


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

    async def about(
        self, principal: Principal, project_id: ProjectId, question: str, *, limit: int, token_budget: int | None
    ) -> list[tuple[Observation, str]]:
        """Return what matches a word of the question, the best first, or without one the newest; each with its text.

        What does not fit into the budget is left out. Raises NotFound for a project that the caller does not see.
        """
        principal.require(Scope.OBSERVATIONS_READ)
        words = scrub(question).strip()[:_QUESTION_CHARACTERS]
        async with self.database.connection() as connection:
            await require_project(connection, principal, project_id)
            if words:
                wanted = SearchRequest(words, project_id, limit=limit)
                hits = await observations.search(connection, principal.team_id, wanted)
                found = [hit.observation for hit in hits]
            else:
                newest = ObservationFilter(project_id, limit=limit)
                found = list(await observations.list_filtered(connection, principal.team_id, newest))
        return list(_fitting(found, token_budget))

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


def _fitting(found: Sequence[Observation], token_budget: int | None) -> Iterator[tuple[Observation, str]]:
    left = token_budget
    for one in found:
        text = neutralise(content_of(one.draft))
        if left is not None:
            cost = estimated_tokens(text + "\n\n")
            if cost > left:
                continue
            left -= cost
        yield one, text
