"""The plugin as a user installs it: every file that it names exists, and every event is one the oldest client knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hooks.test_contract import EVENTS

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugin"
PLUGIN_ROOT = "${CLAUDE_PLUGIN_ROOT}/"
# What the validator of Claude Code 2.1.197 accepts. There, one unknown name switches all hooks of a plugin off.
KNOWN_TO_THE_OLDEST_CLIENT = frozenset(
    "PreToolUse PostToolUse PostToolUseFailure PostToolBatch Notification UserPromptSubmit UserPromptExpansion "
    "SessionStart SessionEnd Stop StopFailure SubagentStart SubagentStop PreCompact PostCompact PermissionRequest "
    "PermissionDenied Setup TeammateIdle TaskCreated TaskCompleted Elicitation ElicitationResult ConfigChange "
    "WorktreeCreate WorktreeRemove InstructionsLoaded CwdChanged FileChanged MessageDisplay".split()
)


def _hooks() -> dict[str, list[dict[str, Any]]]:
    hooks: dict[str, list[dict[str, Any]]] = json.loads((PLUGIN / "hooks" / "hooks.json").read_text())["hooks"]
    return hooks


def test_exactly_the_captured_events_are_asked_for() -> None:
    assert set(_hooks()) == set(EVENTS)
    assert set(EVENTS) <= KNOWN_TO_THE_OLDEST_CLIENT


def test_every_hook_is_a_synchronous_command_without_a_shell() -> None:
    for event, groups in _hooks().items():
        ((group,)) = groups
        ((hook,)) = group["hooks"]
        assert set(hook) == {"type", "command", "args", "timeout"}
        assert (hook["type"], hook["command"]) == ("command", "python3")
        isolated, without_site, inline, _, script, argument = hook["args"]
        assert (isolated, without_site, inline, argument) == ("-I", "-S", "-c", event)
        assert (ROOT / script.removeprefix(PLUGIN_ROOT)).is_file()
        assert 2 < hook["timeout"] <= 10


@pytest.mark.parametrize("event", EVENTS)
def test_a_plugin_that_is_gone_blocks_nothing(tmp_path: Path, event: str) -> None:
    """Python answers a missing script with exit code 2, which would erase the user's prompt."""
    done = subprocess.run(_command(event, tmp_path / "removed"), input=b"{}", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def _command(event: str, root: Path) -> list[str]:
    (group,) = _hooks()[event]
    (hook,) = group["hooks"]
    return [sys.executable, *(argument.replace("${CLAUDE_PLUGIN_ROOT}", str(root)) for argument in hook["args"])]


def test_only_reading_a_file_asks_before_a_tool_runs() -> None:
    assert {event: group.get("matcher") for event, (group,) in _hooks().items() if "matcher" in group} == {
        "SessionStart": "startup|resume|clear|compact",
        "PreToolUse": "Read",
        "PostToolUse": "*",
        "PostToolUseFailure": "*",
    }


def test_the_mcp_server_is_started_by_the_launcher() -> None:
    (server,) = json.loads((PLUGIN / ".mcp.json").read_text())["mcpServers"].values()
    script, command = server["args"]
    assert (server["command"], command) == ("python3", "mcp")
    assert (ROOT / script.removeprefix(PLUGIN_ROOT)).is_file()


def test_the_manifest_says_what_a_catalog_asks_for() -> None:
    manifest = json.loads((PLUGIN / ".claude-plugin" / "plugin.json").read_text())
    assert manifest.keys() >= {"name", "version", "description", "author", "license"}
    assert len((PLUGIN / "README.md").read_text().split()) >= 40


def test_the_skill_has_a_head_that_says_when_to_use_it() -> None:
    _, head, body = (PLUGIN / "skills" / "memory-search" / "SKILL.md").read_text().split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.strip().splitlines())
    assert fields["name"] == "memory-search"
    assert len(fields["description"]) < 1024
    assert body.index("`search`") < body.index("`timeline`") < body.index("`get_observations`")


def test_the_command_runs_the_launcher_from_wherever_it_is_linked(tmp_path: Path) -> None:
    plugin = tmp_path / "plug in"
    (plugin / "bin").mkdir(parents=True)
    (plugin / "hooks").mkdir()
    program = plugin / "bin" / "claude-mem"
    program.write_bytes((PLUGIN / "bin" / "claude-mem").read_bytes())
    program.chmod(0o755)
    (plugin / "hooks" / "launcher.py").write_text("import sys; print(sys.argv[1:])")
    (tmp_path / "link").symlink_to("plug in/bin/claude-mem")
    (tmp_path / "second link").symlink_to(tmp_path / "link")
    for path in (program, tmp_path / "link", tmp_path / "second link"):
        done = subprocess.run([path, "a b", "--json"], capture_output=True, text=True, check=True)
        assert done.stdout == "['a b', '--json']\n"
    assert os.access(PLUGIN / "bin" / "claude-mem", os.X_OK)
