"""Take what clients of the older HTTP API send, as the hook events that it amounts to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from ..domain.errors import NotFound
from ..domain.hook_events import HookEvent, Ignored, parse_hook
from ..domain.ids import EventId, derived_id
from ..domain.legacy import LastPrompt, LegacyAnswer, LegacyRequest, Skipped
from ..domain.ports import Clock
from ..domain.principals import Principal, Scope
from ..domain.projects import ProjectRef, project_of_folder
from ..domain.records import Project
from ..settings import Settings
from ..storage import events, sessions, tenants
from ..storage.database import Connection, Database
from .aside import aside
from .hooks import Hooks

# These clients send a prompt again when nobody answers, without a word that it is the same one.
_SAME_PROMPT_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Legacy:
    """Prompts, tool uses and ends of turns; the turns of a session are its prompts, counted."""

    database: Database
    hooks: Hooks
    clock: Clock
    settings: Settings

    async def begin(self, principal: Principal, request: LegacyRequest, request_id: str | None) -> LegacyAnswer:
        """Begin a session, or the next turn of one, with a prompt."""
        project, last = await self._whereabouts(principal, request)
        number = last.number + 1
        event = await self._event("UserPromptSubmit", request, project, number)
        if event is not None and self._is_repeated(event, last):
            return LegacyAnswer(last.number, skipped=Skipped.DUPLICATE, session_id=last.session_id)
        return await self._take(principal, event, number, request_id)

    async def happened(
        self, principal: Principal, event_name: str, request: LegacyRequest, request_id: str | None
    ) -> LegacyAnswer:
        """Record what happened in the turn that was begun last."""
        project, last = await self._whereabouts(principal, request)
        event = await self._event(event_name, request, project, last.number)
        return await self._take(principal, event, last.number, request_id)

    async def _take(
        self, principal: Principal, event: HookEvent | None, number: int, request_id: str | None
    ) -> LegacyAnswer:
        ingested = (await self.hooks.take(principal, event, request_id)).ingested if event else None
        if ingested is None:
            return LegacyAnswer(number, skipped=Skipped.NOT_CAPTURED)
        is_private = bool(ingested.event.metadata.get("private"))
        return LegacyAnswer(number, ingested, Skipped.PRIVATE if is_private else None, ingested.event.server_session_id)

    async def _event(
        self, event_name: str, request: LegacyRequest, project: ProjectRef, number: int
    ) -> HookEvent | None:
        """Make the hook event that this would have been; None for what is deliberately not captured."""
        turn = {"prompt_id": f"prompt-{number}"} if number else {}
        body = {"session_id": request.session, "cwd": request.folder or "", **turn, **request.said}
        parse = partial(parse_hook, received_at=self.clock.now(), skip_tools=self.settings.skip_tools)
        event = await aside(partial(parse, event_name, body, {}), body)
        if isinstance(event, Ignored):
            return None
        if request.event_key is not None:
            event = replace(event, event_id=EventId(derived_id("legacy-event", request.session, request.event_key)))
        return replace(event, project=project, platform=request.platform_name)

    def _is_repeated(self, event: HookEvent, last: LastPrompt) -> bool:
        return (
            last.received_at is not None
            and last.text == event.payload.get("prompt")
            and self.clock.now() - last.received_at < _SAME_PROMPT_WITHIN
        )

    async def _whereabouts(self, principal: Principal, request: LegacyRequest) -> tuple[ProjectRef, LastPrompt]:
        principal.require(Scope.EVENTS_WRITE)
        async with self.database.connection() as connection:
            project = await self._project(connection, principal, request)
            if project is None:
                return _new_project(request), LastPrompt()
            session = await sessions.newest_of_client(
                connection, principal.team_id, project.id, request.platform_name, request.session
            )
            last = (
                await events.last_prompt(connection, principal.team_id, project.id, session.id)
                if session
                else LastPrompt()
            )
        return ProjectRef(project.key, project.name, _root(request)), last

    async def _project(self, connection: Connection, principal: Principal, request: LegacyRequest) -> Project | None:
        """Find the project: the key's own, the one that is named, or that of the session as it was begun."""
        if principal.project_id is not None:
            own = await tenants.project_by_id(connection, principal.team_id, principal.project_id)
            if own is None or request.project not in (None, own.key, own.name):
                raise NotFound
            return own
        if request.project is not None:
            return await tenants.project_by_key(connection, principal.team_id, request.project)
        begun = await sessions.newest_of_client(
            connection, principal.team_id, None, request.platform_name, request.session
        )
        return await tenants.project_by_id(connection, principal.team_id, begun.project_id) if begun else None


def _new_project(request: LegacyRequest) -> ProjectRef:
    if request.project is None:
        return project_of_folder(request.folder or "")
    return ProjectRef(request.project, request.project, _root(request))


def _root(request: LegacyRequest) -> str | None:
    return project_of_folder(request.folder).root if request.folder else None
