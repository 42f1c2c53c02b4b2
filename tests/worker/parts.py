"""Real parts of the worker for tests, and the events that go in; only the provider is scripted."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.clock import FrozenClock
from worker.domain.hook_events import HookEvent, Ignored, parse_hook
from worker.domain.observations import SUMMARY_KIND, Draft
from worker.domain.ports import Generated, Outcome
from worker.domain.turns import Material
from worker.services.generate import Generate
from worker.services.ingest import Ingest
from worker.services.ledger import Ledger
from worker.services.signals import Signals
from worker.storage.database import Database

ROOT = "/home/dev/shop"
PROJECT = "git:example.test/dev/shop"

Answer = Outcome | Callable[[Material], Outcome] | Exception
_numbers = itertools.count(1)


def body(event: str, **members: object) -> dict[str, object]:
    """Make a hook's JSON; a member that is None is left out."""
    whole = {"session_id": "s", "prompt_id": "t", "cwd": ROOT, "hook_event_name": event, **members}
    return {name: value for name, value in whole.items() if value is not None}


def headers(event_id: str | None = None, **more: str) -> dict[str, str]:
    """Make the headers that the hook sets; every call names another event unless told which."""
    named = str(uuid.uuid5(uuid.NAMESPACE_URL, event_id or f"event {next(_numbers)}"))
    return {
        "X-Claude-Mem-Event-Id": named,
        "X-Claude-Mem-Project": PROJECT,
        "X-Claude-Mem-Project-Name": "shop",
        "X-Claude-Mem-Project-Root": ROOT,
        **{f"X-Claude-Mem-{name.replace('_', '-').title()}": value for name, value in more.items()},
    }


def prompt(text: str, **members: object) -> dict[str, object]:
    return body("UserPromptSubmit", prompt=text, **members)


def edit(path: str, **members: object) -> dict[str, object]:
    change = {"file_path": f"{ROOT}/{path}", "old_string": "a", "new_string": "b"}
    return body("PostToolUse", tool_name="Edit", tool_input=change, tool_response={"structuredPatch": []}, **members)


def stop(text: str = "Done.", **members: object) -> dict[str, object]:
    return body("Stop", last_assistant_message=text, **members)


@dataclass(slots=True)
class Scripted:
    """Implements Provider: gives its answers in order, the last one for ever; can be held in the middle of one."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[Material] = field(default_factory=list)
    summarised: list[Material] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "scripted"

    def __post_init__(self) -> None:
        self.may_go_on.set()

    async def observe(self, material: Material) -> Outcome:
        self.asked.append(material)
        self.entered.set()
        await self.may_go_on.wait()
        if not self.answers:
            return Generated((Draft("change", f"{len(material.events)} events"),))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(material) if callable(answer) else answer

    async def summarise(self, material: Material) -> Outcome:
        self.summarised.append(material)
        return Generated((Draft(SUMMARY_KIND, f"summary of {len(material.events)} events"),))


@dataclass(slots=True)
class Chain:
    """Ingest and generation on one database file, under a clock that stands still."""

    database: Database
    path: Path
    clock: FrozenClock
    provider: Scripted = field(default_factory=Scripted)
    ledger: Ledger = field(default_factory=Ledger)
    wakes: int = 0

    @property
    def ingest(self) -> Ingest:
        return Ingest(self.database, self.clock, self.wake)

    @property
    def generate(self) -> Generate:
        return Generate(self.database, self.provider, Signals(), self.ledger, self.clock)

    def wake(self) -> None:
        self.wakes += 1

    async def take(self, content: Mapping[str, object], event_id: str | None = None, **more: str) -> bool:
        """Record one event; tells whether it was new."""
        event = self.parsed(content, headers(event_id, **more))
        return (await self.ingest.record(event)).created

    def parsed(self, content: Mapping[str, object], with_headers: Mapping[str, str]) -> HookEvent:
        event = parse_hook(str(content["hook_event_name"]), content, with_headers, received_at=self.clock.now())
        assert not isinstance(event, Ignored)
        return event

    async def work(self) -> int:
        """Work off the queue; returns how many jobs were worked on."""
        jobs = 0
        while await self.generate.run_next():
            jobs += 1
        return jobs

    def rows(self, sql: str, *arguments: object) -> Sequence[tuple[Any, ...]]:
        """Look into the file past the code under test."""
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(sql, arguments).fetchall()
        finally:
            connection.close()

    def titles(self) -> list[str]:
        return [title for (title,) in self.rows("SELECT title FROM observations ORDER BY sequence")]

    def statuses(self) -> dict[str, str]:
        return dict(self.rows("SELECT source_type, status FROM jobs"))


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
