"""A Claude Code hook's input, checked, cut to size and freed of private text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote
from uuid import UUID

from .errors import InvalidInput, Issue
from .ids import EventId, derived_id
from .privacy import protect
from .projects import ProjectRef, name_from_key, project_of_folder, short_key
from .text import cap, cap_json, one_line, scrub

STORED_EVENTS = frozenset(
    {
        "SessionStart",
        "UserPromptSubmit",
        "PostToolUse",
        "PostToolUseFailure",
        "Stop",
        "SubagentStop",
        "PreCompact",
        "PostCompact",
        "SessionEnd",
    }
)
QUESTIONS = frozenset({"PreToolUse"})
CLAUDE_CODE = "claude-code"
# Memory must not feed on what memory answered.
_OWN_SERVER = "claude-mem__"

MAX_STRING_CHARACTERS = 64 * 1024
MAX_PAYLOAD_BYTES = 256 * 1024
_MAX_ID_CHARACTERS = 200
_MAX_PATH_CHARACTERS = 4096
# The last instant that a datetime holds, less a day so that every time zone can show it.
_MAX_MILLISECONDS = 253_402_214_400_000


@dataclass(frozen=True, slots=True)
class HookEvent:
    """One thing that happened in a client's session, ready to be stored.

    `payload` is the hook's JSON without private text and secrets, capped. `is_private` says that the user made the
    whole prompt private: nothing of this turn may be kept.
    """

    event_id: EventId
    event_type: str
    session_external_id: str
    turn_key: str | None
    occurred_at: datetime
    project: ProjectRef
    payload: dict[str, object]
    tool_name: str | None = None
    agent_id: str | None = None
    agent_type: str | None = None
    is_spooled: bool = False
    is_private: bool = False
    platform: str = CLAUDE_CODE

    @property
    def is_stored(self) -> bool:
        """Whether the event is kept; a question is answered and forgotten."""
        return self.event_type in STORED_EVENTS

    @property
    def is_prompt(self) -> bool:
        """Whether a turn begins here."""
        return self.event_type == "UserPromptSubmit"

    @property
    def is_session_end(self) -> bool:
        """Whether the client has left the session."""
        return self.event_type == "SessionEnd"

    @property
    def wants_context(self) -> bool:
        """Whether the client waits for the context page."""
        return self.event_type == "SessionStart" and not self.is_spooled

    @property
    def wants_file_context(self) -> bool:
        """Whether the client waits for what is known about the file in `file_path`."""
        return self.event_type == "PreToolUse" and not self.is_spooled

    @property
    def start_source(self) -> str | None:
        """Why the session starts (`startup`, `resume`, `clear`, `compact`), on SessionStart."""
        source = self.payload.get("source")
        return source if self.event_type == "SessionStart" and isinstance(source, str) else None

    @property
    def file_path(self) -> str | None:
        """The file that the tool reads or changes, as the client named it."""
        tool_input = self.payload.get("tool_input")
        path = tool_input.get("file_path") if isinstance(tool_input, dict) else None
        return path if isinstance(path, str) and path else None


@dataclass(frozen=True, slots=True)
class Ignored:
    """The event is well-formed and deliberately not captured."""

    reason: str


def parse_hook(
    event_name: str,
    body: Mapping[str, object],
    headers: Mapping[str, str],
    *,
    received_at: datetime,
    skip_tools: Iterable[str] = (),
) -> HookEvent | Ignored:
    """Check a hook's input and protect it; raises InvalidInput naming every member that is wrong.

    Header names are compared without regard to case. Without headers the id comes from the content, the time is
    `received_at`, and the project is the working folder.
    """
    if event_name not in STORED_EVENTS | QUESTIONS:
        return Ignored(f"{one_line(event_name, 80)} is not captured")
    reader = _Reader(body, {name.lower(): value for name, value in headers.items()})
    is_tool_event = event_name in {"PreToolUse", "PostToolUse", "PostToolUseFailure"}
    session_id = reader.text("session_id", required=True)
    turn_key = reader.text("prompt_id")
    tool_name = reader.text("tool_name", required=is_tool_event)
    agent_id, agent_type = reader.text("agent_id"), reader.text("agent_type")
    reader.check_event_name(event_name)
    if event_name == "UserPromptSubmit":
        reader.check_prompt()
    project = reader.project()
    given_id, occurred_at = reader.event_id(), reader.occurred_at(received_at)
    reader.raise_issues()
    if (reason := _why_ignored(event_name, tool_name, skip_tools)) is not None:
        return Ignored(reason)
    payload = _payload(body)
    return HookEvent(
        event_id=EventId(given_id or _content_id(project, event_name, session_id, payload)),
        event_type=event_name,
        session_external_id=session_id or "",
        turn_key=turn_key,
        occurred_at=occurred_at,
        project=project,
        payload=payload,
        tool_name=tool_name,
        agent_id=agent_id,
        agent_type=agent_type,
        is_spooled=reader.headers.get("x-claude-mem-spooled", "") == "1",
        is_private=event_name == "UserPromptSubmit" and not str(payload.get("prompt", "")).strip(),
    )


def _why_ignored(event_name: str, tool_name: str | None, skip_tools: Iterable[str]) -> str | None:
    if tool_name is not None and (_is_own(tool_name) or tool_name in set(skip_tools)):
        return f"the tool {one_line(tool_name, 80)} is not captured"
    if event_name == "PreToolUse" and tool_name != "Read":
        return "only reads ask for what is known"
    return None


def _is_own(tool_name: str) -> bool:
    # `mcp__claude-mem__search`, or `mcp__plugin_<plugin>_claude-mem__search` when a plugin brings the server.
    return tool_name.startswith("mcp__") and _OWN_SERVER in tool_name


def _payload(body: Mapping[str, object]) -> dict[str, object]:
    protected = protect(dict(body), MAX_STRING_CHARACTERS)
    if not isinstance(protected, dict):
        raise InvalidInput("A hook's input is one JSON object.")
    return cap_json(protected, MAX_STRING_CHARACTERS, MAX_PAYLOAD_BYTES)


def _content_id(project: ProjectRef, event_name: str, session_id: str | None, payload: Mapping[str, object]) -> UUID:
    content = json.dumps(payload, sort_keys=True, ensure_ascii=True)
    return derived_id("hook-event", project.key, session_id, event_name, content)


class _Reader:
    """Reads members and headers, and gathers every issue instead of stopping at the first."""

    def __init__(self, body: Mapping[str, object], headers: Mapping[str, str]) -> None:
        self.body = body
        self.headers = headers
        self.issues: list[Issue] = []

    def raise_issues(self) -> None:
        if self.issues:
            raise InvalidInput("The hook's input is not valid.", self.issues)

    def text(self, member: str, *, required: bool = False) -> str | None:
        value = self.body.get(member)
        if value is None and not required:
            return None
        path = f"$.{member}"
        if value is None:
            self.issues.append(Issue(path, f"{member} is missing.", "required"))
        elif not isinstance(value, str):
            self.issues.append(Issue(path, f"{member} must be a string.", "type"))
        elif len(value) > _MAX_ID_CHARACTERS:
            self.issues.append(Issue(path, f"{member} is longer than {_MAX_ID_CHARACTERS} characters.", "too_long"))
        elif required and not value.strip():
            self.issues.append(Issue(path, f"{member} is empty.", "required"))
        else:
            return scrub(value) or None
        return None

    def check_event_name(self, event_name: str) -> None:
        said = self.body.get("hook_event_name", event_name)
        if said != event_name:
            self.issues.append(
                Issue("$.hook_event_name", f"hook_event_name must be {event_name}, as in the URL.", "mismatch")
            )

    def check_prompt(self) -> None:
        prompt = self.body.get("prompt")
        if prompt is None:
            self.issues.append(Issue("$.prompt", "prompt is missing.", "required"))
        elif not isinstance(prompt, str):
            self.issues.append(Issue("$.prompt", "prompt must be a string.", "type"))

    def event_id(self) -> UUID | None:
        given = self.headers.get("x-claude-mem-event-id")
        if given is None:
            return None
        try:
            return UUID(given)
        except ValueError:
            self.issues.append(Issue("X-Claude-Mem-Event-Id", "X-Claude-Mem-Event-Id must be a UUID.", "format"))
            return None

    def occurred_at(self, received_at: datetime) -> datetime:
        given = self.headers.get("x-claude-mem-occurred-at")
        if given is None:
            return received_at
        if not (given.isascii() and given.isdigit() and len(given) <= 15 and int(given) <= _MAX_MILLISECONDS):
            message = "X-Claude-Mem-Occurred-At must be milliseconds since 1970."
            self.issues.append(Issue("X-Claude-Mem-Occurred-At", message, "format"))
            return received_at
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(given))

    def project(self) -> ProjectRef:
        root = self._header_text("x-claude-mem-project-root")
        key = self._header_text("x-claude-mem-project")
        if key is None:
            return project_of_folder(root or self._folder())
        name = one_line(self._header_text("x-claude-mem-project-name") or "", 200)
        return ProjectRef(short_key(key), name or name_from_key(key), root)

    def _folder(self) -> str:
        folder = self.body.get("cwd")
        if folder is not None and not isinstance(folder, str):
            self.issues.append(Issue("$.cwd", "cwd must be a string.", "type"))
        return scrub(folder)[:_MAX_PATH_CHARACTERS] if isinstance(folder, str) else ""

    def _header_text(self, name: str) -> str | None:
        return cap(scrub(unquote(self.headers.get(name, ""))), _MAX_PATH_CHARACTERS).strip() or None
