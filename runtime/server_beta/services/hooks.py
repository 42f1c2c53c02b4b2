"""Receive what an agent's client tells through its hooks, and answer with what the hook prints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from ..domain.errors import NotFound
from ..domain.hook_events import CLAUDE_CODE, HookEvent, Ignored, parse_hook
from ..domain.ports import Clock
from ..domain.principals import Principal, Scope
from ..domain.projects import is_excluded, relative_to_root
from ..domain.records import HookAnswer, Ingested, NewEvent, NewSession, Project, Session
from ..settings import Settings
from ..storage import events, job_operations, jobs, sessions
from ..storage.database import Database
from ..storage.events import Call
from .aside import aside
from .context import Context
from .ingest import Ingest
from .projects import Projects
from .remembered import Remembered
from .sessions import close_session, open_session

PLATFORM = CLAUDE_CODE

# What each event calls for (see events/ingest.sql); an event that is not named here calls for nothing.
_CALLS: Mapping[str, Call] = {
    "UserPromptSubmit": "content",
    "PostToolUse": "content",
    "PostToolUseFailure": "content",
    "SubagentStop": "content",
    "Stop": "close",
    "PostCompact": "close",
    "SessionEnd": "end",
}
# The one turn of a session whose client does not say which prompt an event belongs to.
_UNNAMED_TURN = ""
# What is kept of an event in a private turn: that it happened.
_KEPT_OF_PRIVATE = ("hook_event_name", "session_id", "prompt_id")
# A session that starts right after another ended waits this long for what is still being generated from that one.
_SETTLE_SECONDS = 0.6
_SETTLE_STEP_SECONDS = 0.02
_STILL_FRESH = timedelta(seconds=5)


class Hooks:
    """The one entry for hook events, live or from the spool."""

    def __init__(
        self,
        database: Database,
        ingest: Ingest,
        projects: Projects,
        context: Context,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._database = database
        self._ingest = ingest
        self._find_projects = projects
        self._context = context
        self._clock = clock
        self._settings = settings
        self._projects: Remembered[Project] = Remembered()
        self._sessions: Remembered[Session] = Remembered()
        self._private_turns: Remembered[bool] = Remembered()

    async def receive(
        self,
        principal: Principal,
        event_name: str,
        body: Mapping[str, object],
        headers: Mapping[str, str],
        request_id: str | None,
    ) -> HookAnswer:
        """Store the event, once, and say what the hook prints; raises InvalidInput for what is no hook event."""
        principal.require(Scope.EVENTS_WRITE)
        parse = partial(parse_hook, received_at=self._clock.now(), skip_tools=self._settings.skip_tools)
        event = await aside(partial(parse, event_name, body, headers), body)
        if isinstance(event, Ignored):
            return HookAnswer({}, created=False)
        return await self.take(principal, event, request_id)

    async def take(self, principal: Principal, event: HookEvent, request_id: str | None) -> HookAnswer:
        """Do the same with an event that was parsed before."""
        principal.require(Scope.EVENTS_WRITE)
        if self._is_excluded(event):
            return HookAnswer({}, created=False)
        try:
            return await self._answer(principal, event, request_id)
        except NotFound:
            # What was remembered here may have been deleted since; a second refusal is the answer.
            self._forget()
            return await self._answer(principal, event, request_id)

    async def _answer(self, principal: Principal, event: HookEvent, request_id: str | None) -> HookAnswer:
        project = await self._project(principal, event, request_id)
        if event.wants_file_context:
            return HookAnswer(await self._about_file(project, event), created=False)
        if not event.is_stored:
            return HookAnswer({}, created=False)
        session = await self._session(principal, project, event, request_id)
        stored = await self._store(principal, project, session, event, request_id)
        return HookAnswer(await self._output(project, session, event), stored.created, stored)

    async def _store(
        self, principal: Principal, project: Project, session: Session, event: HookEvent, request_id: str | None
    ) -> Ingested:
        turn_key = _turn_key(event)
        is_private = await self._is_private(project, session, event, turn_key)
        payload = {name: event.payload[name] for name in _KEPT_OF_PRIVATE if name in event.payload}
        new = NewEvent(
            project_id=project.id,
            event_type=event.event_type,
            # A clock that goes wrong on the client's side must not put an event behind everything that is yet to come.
            occurred_at=min(event.occurred_at, self._clock.now()),
            payload=payload if is_private else event.payload,
            source_type="hook",
            source_adapter=PLATFORM,
            platform_source=event.platform,
            source_event_id=str(event.event_id),
            session_id=session.id,
            content_session_id=event.session_external_id,
            turn_key=turn_key,
            metadata={"private": True} if is_private else {},
        )
        call = _CALLS.get(event.event_type, "none")
        (stored,) = await self._ingest.store(principal, [(new, call)], request_id=request_id)
        if event.is_private and turn_key is not None:
            # A prompt that was spooled comes after events that were stored before anybody knew.
            async with self._database.transaction() as connection:
                # Before the events: whoever purges the project takes it first, too.
                await job_operations.hold_tenant(connection, project.team_id, project.id)
                await events.blank_turn(connection, project.team_id, project.id, session.id, turn_key)
        if event.is_session_end:
            async with self._database.transaction() as connection:
                await close_session(connection, principal, project.id, session.id, request_id)
        return stored

    async def _output(self, project: Project, session: Session, event: HookEvent) -> dict[str, object]:
        if event.event_type == "SessionStart" and event.is_spooled:
            async with self._database.connection() as connection:
                await sessions.owe_context(connection, project.team_id, project.id, session.id)
        elif event.wants_context:
            await self._settle(project)
            # A resumed client still has its earlier context; only what other sessions learned since is new to it.
            since = session.started_at if event.start_source == "resume" else None
            return _context("SessionStart", await self._context.page_text(project, since=since, but=session.id))
        elif event.is_prompt and not event.is_spooled and await self._takes_over_context(project, session):
            return _context("UserPromptSubmit", await self._context.page_text(project))
        return {}

    async def _takes_over_context(self, project: Project, session: Session) -> bool:
        async with self._database.connection() as connection:
            return await sessions.settle_context(connection, project.team_id, project.id, session.id)

    async def _about_file(self, project: Project, event: HookEvent) -> dict[str, object]:
        if event.file_path is None or not self._settings.context_files:
            return {}
        path = relative_to_root(event.file_path, event.project.root)
        return _context("PreToolUse", await self._context.about_file(project.team_id, project.id, path))

    async def _settle(self, project: Project) -> None:
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            async with self._database.connection() as connection:
                if await jobs.open_of_project(connection, project.team_id, project.id, _STILL_FRESH) is None:
                    return
            await asyncio.sleep(_SETTLE_STEP_SECONDS)

    async def _is_private(self, project: Project, session: Session, event: HookEvent, turn_key: str | None) -> bool:
        if turn_key is None:
            return event.is_private
        # The session's own id would be another one after a purge in the midst of the turn.
        key = (project.id, event.platform, event.session_external_id, turn_key)
        if event.is_private or self._private_turns.get(key):
            self._private_turns.put(key, value=True)
            return True
        # That a turn is public is never remembered: its prompt may come late, or to another server.
        async with self._database.connection() as connection:
            is_private = await events.turn_is_private(connection, project.team_id, project.id, session.id, turn_key)
        if is_private:
            self._private_turns.put(key, value=True)
        return is_private

    async def _project(self, principal: Principal, event: HookEvent, request_id: str | None) -> Project:
        key = (principal.team_id, event.project.key)
        project = self._projects.get(key)
        if project is None:
            project, _ = await self._find_projects.find_or_create(
                principal, event.project.key, event.project.name, request_id
            )
            self._projects.put(key, project)
        principal.require_project(project.id)
        return project

    async def _session(
        self, principal: Principal, project: Project, event: HookEvent, request_id: str | None
    ) -> Session:
        key = (project.id, event.platform, event.session_external_id)
        session = self._sessions.get(key)
        if session is None or (session.project_root is None and event.project.root is not None):
            new = NewSession(
                project_id=project.id,
                external_session_id=event.session_external_id,
                content_session_id=event.session_external_id,
                platform_source=event.platform,
                project_root=event.project.root,
            )
            async with self._database.transaction() as connection:
                session, _ = await open_session(connection, principal, new, request_id)
            self._sessions.put(key, session)
        return session

    def _is_excluded(self, event: HookEvent) -> bool:
        root = event.project.root
        return root is not None and is_excluded(root, self._settings.excluded_projects, "~")

    def _forget(self) -> None:
        self._projects.clear()
        self._sessions.clear()


def _turn_key(event: HookEvent) -> str | None:
    return _UNNAMED_TURN if event.turn_key is None and event.event_type != "SessionStart" else event.turn_key


def _context(event_name: str, text: str) -> dict[str, object]:
    if not text:
        return {}
    return {"hookSpecificOutput": {"hookEventName": event_name, "additionalContext": text}}
