"""Recorded events read as evidence: what was asked, done, run, seen and said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ...domain.projects import relative_to_root
from ...domain.text import cap, one_line
from ...domain.turns import Material, Recorded
from .commands import Command, Work, failure_of, hides_failure, read_command, tests_passed
from .edits import FileChange, change_of, is_test_file
from .notes import Note, note_of

_HOOK_EVENTS = frozenset(
    "SessionStart UserPromptSubmit PreToolUse PostToolUse PostToolUseFailure Stop SubagentStop PreCompact PostCompact "
    "SessionEnd".split()
)
# What the client itself puts where a prompt belongs.
_MACHINE_PROMPT = re.compile(
    r"^\s*(?:<(?:task-notification|local-command|command-name|command-message|bash-input|bash-stdout|bash-stderr|"
    r"agent-notification|user-memory-input|teammate-message)|"
    r"Caveat: The messages below|\[Request interrupted|/(?:compact|clear|exit|resume|model|cost|login|logout|"
    r"help|config|mcp|memory|status|context|usage)\b)"
)
_HARNESS = re.compile(r"<([a-z][a-z-]{2,40})>[^<]{0,2000}</\1>")
_GENERATED = re.compile(
    r"(?:^|/)(?:__pycache__|node_modules|\.git|\.venv|venv|dist|build|target|\.mypy_cache|\.pytest_cache|"
    r"\.ruff_cache|coverage)(?:/|$)|\.(?:pyc|o|class|log|lock)$"
)
_MAX_CHANGED_BY_COMMAND = 20


@dataclass(frozen=True, slots=True)
class Run:
    """A command that ran to its end, or was stopped."""

    command: Command
    line: str
    failure: str | None
    passed: str
    after_change: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What a subagent was asked and what it came back with."""

    task: str
    agent_type: str
    text: str


@dataclass(slots=True)
class Turn:
    """The evidence of one turn: a prompt and all that followed it."""

    prompt: str = ""
    answer: str = ""
    changes: dict[str, FileChange] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    files_read: list[str] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)
    web: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    external: list[str] = field(default_factory=list)
    plan: list[tuple[str, str]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    compaction: str = ""

    @property
    def files_modified(self) -> tuple[str, ...]:
        """The changed files in the order of their first change."""
        return tuple(self.changes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all was recorded."""
        return self == Turn()


def turns_of(material: Material) -> list[Turn]:
    """Read the material as turns; what comes before the first prompt is a turn of its own."""
    turns = [Turn()]
    for event in material.events:
        if event.event_type == "UserPromptSubmit" and (turns[-1].prompt or turns[-1].answer):
            turns.append(Turn())
        _read(turns[-1], event, material.project_root)
    return [turn for turn in turns if not turn.is_empty]


def merged(turns: Iterable[Turn]) -> Turn:
    """Take several turns as one: the first prompt, the last answer and plan, everything else together."""
    whole = Turn()
    for turn in turns:
        whole.prompt = whole.prompt or turn.prompt
        whole.answer = "\n\n".join(filter(None, (whole.answer, turn.answer)))
        whole.plan = turn.plan or whole.plan
        whole.compaction = turn.compaction or whole.compaction
        for change in turn.changes.values():
            _add_change(whole, change)
        for gathered, more in (
            (whole.files_read, turn.files_read),
            (whole.searches, turn.searches),
            (whole.web, turn.web),
            (whole.external, turn.external),
        ):
            gathered += [item for item in more if item not in gathered]
        whole.runs += turn.runs
        whole.reports += turn.reports
        whole.notes += turn.notes
    return whole


def _read(turn: Turn, event: Recorded, root: str | None) -> None:
    payload = event.payload
    tool = payload.get("tool_name")
    if isinstance(tool, str) and event.event_type != "PreToolUse" and isinstance(payload.get("tool_input"), dict):
        _read_tool(turn, tool, payload, root)
        return
    match event.event_type:
        case "UserPromptSubmit":
            prompt = _text(payload.get("prompt")).strip()
            if not _MACHINE_PROMPT.match(prompt):
                turn.prompt = turn.prompt or prompt
        # The second is what hooks of the TypeScript client call it.
        case "Stop" | "assistant_message":
            turn.answer = _text(payload.get("last_assistant_message")).strip() or turn.answer
        case "SubagentStop":
            # The agent without a type is the client's own compaction; PostCompact brings its text.
            if payload.get("agent_type"):
                _add_report(
                    turn, Report("", _text(payload.get("agent_type")), _report(payload.get("last_assistant_message")))
                )
        case "PostCompact":
            turn.compaction = _text(payload.get("compact_summary")).strip() or turn.compaction
        case name if name in _HOOK_EVENTS:
            pass
        case _:
            note = note_of(event, root)
            if note is not None and note not in turn.notes:
                turn.notes.append(note)


def _read_tool(turn: Turn, tool: str, payload: Mapping[str, object], root: str | None) -> None:
    given = payload.get("tool_input")
    tool_input: Mapping[str, object] = given if isinstance(given, dict) else {}
    response = payload.get("tool_response")
    failed = "error" in payload and "tool_response" not in payload
    path = _text(tool_input.get("file_path") or tool_input.get("notebook_path") or tool_input.get("path"))
    match tool:
        case "Bash" | "BashOutput":
            _add_run(turn, payload, root)
        case "Edit" | "MultiEdit" | "Write" | "NotebookEdit":
            if path and not failed:
                _add_change(turn, change_of(relative_to_root(path, root), tool_input, response))
        case "Read":
            if path and not failed:
                _add(turn.files_read, relative_to_root(path, root))
        case "Grep" | "Glob" | "LS":
            _add(turn.searches, one_line(_text(tool_input.get("pattern")), 80))
        case "WebFetch" | "WebSearch":
            _add(turn.web, one_line(_text(tool_input.get("url") or tool_input.get("query")), 160))
        case "Task" | "Agent":
            kind = _text(tool_input.get("subagent_type"))
            _add_report(
                turn,
                Report(one_line(_text(tool_input.get("description")), 100), kind, "" if failed else _report(response)),
            )
        case "TodoWrite":
            todos = tool_input.get("todos")
            turn.plan = [
                (one_line(_text(todo.get("content")), 160), _text(todo.get("status")))
                for todo in (todos if isinstance(todos, list) else ())
                if isinstance(todo, dict)
            ]
        case "TaskCreate":
            turn.plan.append(
                (one_line(_text(tool_input.get("subject") or tool_input.get("description")), 160), "pending")
            )
        case _ if tool.startswith("mcp__") and not failed:
            _add(turn.external, _external_call(tool, tool_input, response))
        case _:
            pass


def _add_run(turn: Turn, payload: Mapping[str, object], root: str | None) -> None:
    given = payload.get("tool_input")
    line = _text(given.get("command")) if isinstance(given, dict) else ""
    if not line.strip():
        return
    command = read_command(line)
    response = payload.get("tool_response")
    result = response if isinstance(response, dict) else {}
    output = "\n".join(filter(None, (_text(result.get("stdout")), _text(result.get("stderr")), _text(response))))
    error = _text(payload.get("error"))
    failure: str | None = None
    if payload.get("is_interrupt") or result.get("interrupted"):
        failure = "interrupted"
    elif "error" in payload and "tool_response" not in payload:
        failure = failure_of(error, root)
    elif hides_failure(command, output):
        failure = failure_of(output, root)
    if command.work is Work.LOOK:
        # That nothing was found, or a folder is missing, is how looking around goes.
        return
    turn.runs.append(
        Run(command, line, failure, tests_passed(output), any(not is_test_file(path) for path in turn.changes))
    )
    difference = result.get("bashEditDiff")
    changed = difference.get("changedFiles") if isinstance(difference, dict) else None
    for path in changed if isinstance(changed, list) and len(changed) <= _MAX_CHANGED_BY_COMMAND else ():
        relative = relative_to_root(_text(path), root)
        if relative and not _GENERATED.search(relative) and relative not in turn.changes:
            turn.changes[relative] = FileChange(relative)


def _external_call(tool: str, tool_input: Mapping[str, object], response: object) -> str:
    server, _, name = tool.removeprefix("mcp__").partition("__")
    said = ", ".join(
        f"{key}={one_line(value, 60)}" for key, value in tool_input.items() if isinstance(value, str) and value
    )
    answer = one_line(_report(response), 140)
    return one_line(f"{server.rpartition('_')[2] or server} {name}({said})", 160) + (f": {answer}" if answer else "")


def _report(response: object) -> str:
    """Gather the text of a tool's or agent's answer in whichever of its forms, without the client's own notes."""
    match response:
        case str():
            return _HARNESS.sub("", cap(response, 8000)).strip()
        case list():
            return "\n".join(filter(None, map(_report, response[:50])))
        case {"text": str(text)}:
            return _report(text)
        case {"content": (str() | list()) as content}:
            return _report(content)
        case {"result": str(text)}:
            return _report(text)
        case _:
            return ""


def _add_report(turn: Turn, report: Report) -> None:
    for at, known in enumerate(turn.reports):
        if known.text == report.text:
            # The same words come with the agent's end and with the tool's result, which also knows the task.
            turn.reports[at] = known if known.task else report
            return
    if report.text or report.task:
        turn.reports.append(report)


def _add_change(turn: Turn, change: FileChange) -> None:
    if change.path in turn.changes:
        turn.changes[change.path].merge(change)
    else:
        turn.changes[change.path] = change


def _add(items: list[str], item: str) -> None:
    if item and item not in items:
        items.append(item)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
