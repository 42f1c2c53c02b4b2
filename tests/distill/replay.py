"""Recorded sessions read through one runtime's own modules, and written down as a person would read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID, uuid5

DATA = Path(__file__).resolve().parents[1] / "data"
GOLDEN = DATA / "golden"
SESSIONS = tuple(sorted(path.stem for path in (DATA / "sessions").glob("*.jsonl")))
RUNTIMES = ("server_beta", "worker")
MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_IDS = UUID("0b54b2a5-6f0c-4f0e-8f6f-3c1d59b3a001")


class Distillery:
    """The copies of one runtime. Their types differ from the other runtime's, so the tests see them untyped."""

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.text = self._module("domain.text")
        self.privacy = self._module("domain.privacy")
        self.projects = self._module("domain.projects")
        self.hook_events = self._module("domain.hook_events")
        self.observations = self._module("domain.observations")
        self.turns = self._module("domain.turns")
        self.extractive = self._module("providers.extractive")
        self.page = self._module("services.page")

    def _module(self, name: str) -> ModuleType:
        return import_module(f"{self.runtime}.{name}")

    def events(self, session: str, start: datetime = MORNING) -> list[Any]:
        """Parse a recorded session's hook inputs into what a runtime would store."""
        parsed = []
        for number, line in enumerate(recorded(session)):
            received_at = start + timedelta(seconds=20 * number)
            event = self.hook_events.parse_hook(line["event"], line["input"], {}, received_at=received_at)
            if isinstance(event, self.hook_events.HookEvent) and event.is_stored:
                parsed.append(event)
        return parsed

    def material(self, *events: tuple[str, dict[str, object]], root: str | None = "/home/dev/shop") -> Any:
        """Make material of plain (event type, payload) pairs."""
        kept = [
            self.turns.Recorded(event_type, payload, MORNING + timedelta(seconds=number))
            for number, (event_type, payload) in enumerate(events)
        ]
        return self.turns.Material(tuple(kept), root)

    def turns_of_session(self, session: str) -> Iterator[tuple[datetime, Any]]:
        """Give each turn's material with the time of its last event."""
        events = self.events(session)
        for turn_key in dict.fromkeys(event.turn_key for event in events):
            of_turn = [event for event in events if event.turn_key == turn_key]
            yield of_turn[-1].occurred_at, self._material_of(of_turn)

    def _material_of(self, events: list[Any]) -> Any:
        recorded_events = [self.turns.Recorded(e.event_type, e.payload, e.occurred_at) for e in events]
        return self.turns.Material(tuple(recorded_events), events[0].project.root)

    def stored(self, session: str, days_later: int = 0) -> tuple[Any, list[Any]]:
        """Give the session's summary and observations as they would lie in the store."""
        shift = timedelta(days=days_later)
        observations = [
            self._observation(draft, at + shift, session, number)
            for at, material in self.turns_of_session(session)
            for number, draft in enumerate(self.extractive.observe(material))
        ]
        events = self.events(session)
        draft = self.extractive.summarise(self._material_of(events))
        return self._observation(draft, events[-1].occurred_at + shift, session, 0), observations

    def _observation(self, draft: Any, at: datetime, session: str, number: int) -> Any:
        name = uuid5(_IDS, f"{session} {at.isoformat()} {draft.kind} {number}")
        return self.observations.Observation(name, _IDS, _IDS, uuid5(_IDS, session), draft, at, at)

    def observations_text(self, session: str) -> str:
        """Write down everything generation makes of a session."""
        summary, observations = self.stored(session)
        return "\n".join([*(_written(item.draft) for item in observations), _written(summary.draft)])

    def page_text(self, session: str) -> str:
        """Render the page that the day after this session starts with."""
        summary, observations = self.stored(session)
        now = MORNING + timedelta(days=1)
        return str(self.page.render_page("demo", [summary], observations, now=now).text) + "\n"

    def page_of_everything(self) -> str:
        """Render the page after all recorded sessions, one a day, as if they were of one project."""
        stored = [self.stored(session, days_later=number) for number, session in enumerate(SESSIONS)]
        summaries = [summary for summary, _ in stored]
        observations = [observation for _, of_session in stored for observation in of_session]
        now = MORNING + timedelta(days=len(SESSIONS))
        return str(self.page.render_page("demo", summaries, observations, now=now).text) + "\n"


def recorded(session: str) -> list[dict[str, Any]]:
    """Read a recorded session: the hook's event name and its standard input, in order."""
    lines = (DATA / "sessions" / f"{session}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def golden_files(distillery: Distillery) -> Iterator[tuple[str, str]]:
    """Give every golden file's name and what it should hold."""
    for session in SESSIONS:
        yield f"{session}.observations.txt", distillery.observations_text(session)
        yield f"{session}.page.txt", distillery.page_text(session)
    yield "everything.page.txt", distillery.page_of_everything()


def _written(draft: Any) -> str:
    lines = [f"[{draft.kind}] {draft.title}"]
    lines += [f"  asked: {draft.subtitle}"] if draft.subtitle else []
    lines += [f"  {draft.narrative}"] if draft.narrative and not draft.metadata else []
    lines += [f"  - {fact}" for fact in draft.facts]
    lines += [f"  {name}: {text}" for name, text in draft.metadata.items() if text]
    for label, items in (
        ("concepts", draft.concepts),
        ("read", draft.files_read),
        ("modified", draft.files_modified),
    ):
        lines += [f"  {label}: {', '.join(items)}"] if items else []
    return "\n".join(lines) + "\n"
