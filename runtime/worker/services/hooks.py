"""Receive what an agent's client tells through its hooks, and answer with what the hook prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ..domain.hook_events import HookEvent, Ignored, parse_hook
from ..domain.ports import Clock
from ..domain.projects import is_excluded, relative_to_root
from ..domain.records import HookAnswer, Project, Recording
from ..settings import Settings
from ..storage import jobs, projects
from ..storage.database import Database
from .context import Context
from .ingest import Ingest
from .signals import Signals

# A session that starts right after another ended waits this long for what is still being generated from that one.
_SETTLE = timedelta(milliseconds=600)
_STILL_FRESH = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Hooks:
    """The one entry for hook events, live or from the spool."""

    database: Database
    ingest: Ingest
    context: Context
    signals: Signals
    clock: Clock
    settings: Settings

    async def receive(self, event_name: str, body: Mapping[str, object], headers: Mapping[str, str]) -> HookAnswer:
        """Store the event, once, and say what the hook prints; raises InvalidInput for what is no hook event."""
        event = parse_hook(event_name, body, headers, received_at=self.clock.now(), skip_tools=self.settings.skip_tools)
        if isinstance(event, Ignored) or self._is_excluded(event):
            return HookAnswer({}, created=False)
        if event.wants_file_context:
            return HookAnswer(await self._about_file(event), created=False)
        if not event.is_stored:
            return HookAnswer({}, created=False)
        recording = await self.ingest.record(event)
        return HookAnswer(await self._output(event, recording), recording.created)

    async def _output(self, event: HookEvent, recording: Recording) -> dict[str, object]:
        if event.wants_context:
            await self._settle(recording.project)
            # A resumed client still has its earlier context; only what other sessions learned since is new to it.
            since = recording.session.started_at if event.start_source == "resume" else None
            page = await self.context.page(recording.project, since=since, but=recording.session.id)
            return _context("SessionStart", page.text)
        if recording.delivers_context:
            page = await self.context.page(recording.project)
            return _context("UserPromptSubmit", page.text)
        return {}

    async def _about_file(self, event: HookEvent) -> dict[str, object]:
        if event.file_path is None or not self.settings.context_files:
            return {}
        key = event.project.key
        project = await self.database.read(lambda connection: projects.by_key(connection, key))
        if project is None:
            return {}
        path = relative_to_root(event.file_path, event.project.root)
        return _context("PreToolUse", await self.context.about_file(project.id, path))

    async def _settle(self, project: Project) -> None:
        deadline = self.clock.now() + _SETTLE
        while (left := deadline - self.clock.now()) > timedelta():
            since = self.clock.now() - _STILL_FRESH
            if not await self.database.read(partial(jobs.is_project_busy, project_id=project.id, since=since)):
                return
            await self.signals.wait(project.id, left.total_seconds())

    def _is_excluded(self, event: HookEvent) -> bool:
        root = event.project.root
        return root is not None and is_excluded(root, self.settings.excluded_projects, "~")


def _context(event_name: str, text: str) -> dict[str, object]:
    if not text:
        return {}
    return {"hookSpecificOutput": {"hookEventName": event_name, "additionalContext": text}}
