"""A hook's input becomes an event ready to be stored, or a clear refusal, or nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import pytest

from tests.distill.replay import SESSIONS, Distillery, recorded

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PROMPT: dict[str, object] = {
    "session_id": "s-1",
    "prompt_id": "p-1",
    "cwd": "/home/dev/shop",
    "hook_event_name": "UserPromptSubmit",
    "prompt": "fix it",
}
TOOL: dict[str, object] = {
    "session_id": "s-1",
    "prompt_id": "p-1",
    "cwd": "/home/dev/shop",
    "hook_event_name": "PostToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "ls"},
    "tool_response": {"stdout": "a"},
}


def parse(
    distillery: Distillery,
    body: dict[str, object],
    headers: dict[str, str] | None = None,
    event: str | None = None,
    **more: Any,
) -> Any:
    name = event or str(body.get("hook_event_name"))
    return distillery.hook_events.parse_hook(name, body, headers or {}, received_at=NOW, **more)


@pytest.mark.parametrize("session", SESSIONS)
def test_every_recorded_event_is_understood(distillery: Distillery, session: str) -> None:
    for line in recorded(session):
        event = parse(distillery, line["input"], event=line["event"])
        if isinstance(event, distillery.hook_events.HookEvent):
            assert event.session_external_id == line["input"]["session_id"]
            assert event.turn_key == line["input"].get("prompt_id")
            assert event.payload == line["input"]
            assert event.is_session_end is (line["event"] == "SessionEnd")
            assert event.wants_context is (line["event"] == "SessionStart")
            assert event.wants_file_context is (line["event"] == "PreToolUse")
            assert event.is_stored is (line["event"] != "PreToolUse")
        else:
            assert line["event"] == "PreToolUse"
            assert line["input"]["tool_name"] != "Read"


def test_the_headers_of_the_hook_decide(distillery: Distillery) -> None:
    event = parse(
        distillery,
        PROMPT,
        {
            "X-CLAUDE-MEM-Event-Id": "018f2f6e-7d1c-7c3a-9c38-0c2f8f4a1b2c",
            "x-claude-mem-occurred-at": "1772442000123",
            "X-Claude-Mem-Project": "git%3Agithub.com%2Fowner%2Frepo",
            "X-Claude-Mem-Project-Name": "repo%20%C3%A9",
            "X-Claude-Mem-Project-Root": "%2Fhome%2Fdev%2Fmy%20%20repo",
            "X-Claude-Mem-Spooled": "1",
        },
    )
    assert str(event.event_id) == "018f2f6e-7d1c-7c3a-9c38-0c2f8f4a1b2c"
    assert event.occurred_at == datetime(2026, 3, 2, 9, 0, 0, 123000, tzinfo=UTC)
    assert (event.project.key, event.project.name) == ("git:github.com/owner/repo", "repo é")
    assert event.project.root == "/home/dev/my  repo"
    assert event.is_spooled
    assert not event.wants_context


def test_without_headers_the_content_decides(distillery: Distillery) -> None:
    first, again = parse(distillery, PROMPT), parse(distillery, dict(reversed(PROMPT.items())))
    other = parse(distillery, {**PROMPT, "prompt": "fix it too"})
    assert first.event_id == again.event_id
    assert first.event_id != other.event_id
    assert first.occurred_at == NOW
    assert first.project.name == "shop"
    assert first.project.key.startswith("path:")


def test_a_client_without_a_folder_is_not_lost(distillery: Distillery) -> None:
    event = parse(distillery, {key: value for key, value in PROMPT.items() if key != "cwd"})
    assert event.project.key == "path:unknown"


@pytest.mark.parametrize(
    ("body", "headers", "path", "code"),
    [
        ({**PROMPT, "session_id": None}, {}, "$.session_id", "required"),
        ({**PROMPT, "session_id": "  "}, {}, "$.session_id", "required"),
        ({**PROMPT, "session_id": 7}, {}, "$.session_id", "type"),
        ({**PROMPT, "session_id": "x" * 201}, {}, "$.session_id", "too_long"),
        ({**PROMPT, "prompt_id": ["x"]}, {}, "$.prompt_id", "type"),
        ({**PROMPT, "prompt": None}, {}, "$.prompt", "required"),
        ({**PROMPT, "prompt": {"a": 1}}, {}, "$.prompt", "type"),
        ({**PROMPT, "cwd": 1}, {}, "$.cwd", "type"),
        ({**PROMPT, "hook_event_name": "Stop"}, {}, "$.hook_event_name", "mismatch"),
        ({**TOOL, "tool_name": None}, {}, "$.tool_name", "required"),
        ({**TOOL, "tool_name": 1}, {}, "$.tool_name", "type"),
        (PROMPT, {"X-Claude-Mem-Event-Id": "nonsense"}, "X-Claude-Mem-Event-Id", "format"),
        (PROMPT, {"X-Claude-Mem-Occurred-At": "yesterday"}, "X-Claude-Mem-Occurred-At", "format"),
        (PROMPT, {"X-Claude-Mem-Occurred-At": "-5"}, "X-Claude-Mem-Occurred-At", "format"),
        (PROMPT, {"X-Claude-Mem-Occurred-At": "9" * 15}, "X-Claude-Mem-Occurred-At", "format"),
        (PROMPT, {"X-Claude-Mem-Occurred-At": "٣" * 13}, "X-Claude-Mem-Occurred-At", "format"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_place(
    distillery: Distillery, body: dict[str, object], headers: dict[str, str], path: str, code: str
) -> None:
    invalid = import_module(f"{distillery.runtime}.domain.errors").InvalidInput
    event = "PostToolUse" if "tool_input" in body else "UserPromptSubmit"
    with pytest.raises(invalid) as refused:
        parse(distillery, body, headers, event)
    assert (path, code) in [(issue.path, issue.code) for issue in refused.value.issues]
    assert all(issue.message.endswith(".") for issue in refused.value.issues)


def test_all_issues_are_told_at_once(distillery: Distillery) -> None:
    invalid = import_module(f"{distillery.runtime}.domain.errors").InvalidInput
    with pytest.raises(invalid) as refused:
        parse(distillery, {"prompt": 1, "prompt_id": 2}, {}, "UserPromptSubmit")
    assert {issue.path for issue in refused.value.issues} == {"$.session_id", "$.prompt", "$.prompt_id"}


@pytest.mark.parametrize(
    ("event", "tool", "skip"),
    [
        ("Notification", None, ()),
        ("../../x", None, ()),
        ("PreToolUse", "Bash", ()),
        ("PostToolUse", "mcp__plugin_session-memory_claude-mem__search", ()),
        ("PostToolUseFailure", "mcp__claude-mem__search", ()),
        ("PostToolUse", "WebFetch", ("WebFetch", "Glob")),
    ],
)
def test_what_is_not_captured_is_said(
    distillery: Distillery, event: str, tool: str | None, skip: tuple[str, ...]
) -> None:
    body = {**TOOL, "hook_event_name": event, "tool_name": tool}
    ignored = parse(distillery, body, event=event, skip_tools=skip)
    assert isinstance(ignored, distillery.hook_events.Ignored)
    assert ignored.reason


@pytest.mark.parametrize("prompt", ["<private>all of it</private>", " <private>to the end", "", "  \n"])
def test_a_prompt_that_is_wholly_private_makes_its_turn_private(distillery: Distillery, prompt: str) -> None:
    assert parse(distillery, {**PROMPT, "prompt": prompt}).is_private


def test_a_prompt_that_is_partly_private_is_kept_without_that_part(distillery: Distillery) -> None:
    event = parse(distillery, {**PROMPT, "prompt": "fix it <private>secretly</private>now"})
    assert not event.is_private
    assert event.payload["prompt"] == "fix it now"


def test_what_is_stored_is_protected_and_bounded(distillery: Distillery) -> None:
    response = {"stdout": "x" * 200_000 + "<private>canary</private>", "stderr": "PASSWORD=hunter22 \x00 \ud800"}
    event = parse(distillery, {**TOOL, "tool_response": response, "extra": ["y" * 60_000] * 20})
    stored = json.dumps(event.payload, ensure_ascii=False)
    assert len(stored.encode()) <= 256 * 1024
    assert "canary" not in stored
    assert "hunter22" not in stored
    assert "\\u0000" not in stored


def test_a_session_id_that_no_store_accepts_is_made_storable(distillery: Distillery) -> None:
    assert parse(distillery, {**PROMPT, "session_id": "a\x00b\ud800"}).session_external_id == "a\ufffdb\ufffd"


def test_the_source_of_a_start_and_the_file_of_a_read(distillery: Distillery) -> None:
    start = parse(distillery, {"session_id": "s", "source": "resume"}, event="SessionStart")
    read = parse(
        distillery,
        {"session_id": "s", "tool_name": "Read", "tool_input": {"file_path": "/home/dev/shop/a.py"}},
        event="PreToolUse",
    )
    assert (start.start_source, start.file_path) == ("resume", None)
    assert (read.start_source, read.file_path) == (None, "/home/dev/shop/a.py")
