from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ROOT / "hooks"
SLOW = frozenset(
    {"argparse", "asyncio", "contextlib", "dataclasses", "email", "http", "importlib.metadata", "inspect", "json"}
    | {"logging", "pathlib", "random", "re", "shutil", "ssl", "subprocess", "tempfile", "typing", "urllib", "uuid"}
)
MODULES = sorted(path for path in HOOKS.rglob("*.py") if "__pycache__" not in path.parts)
EVENT = """{"session_id": "s", "prompt_id": "p", "cwd": "/", "hook_event_name": "PostToolUse", "tool_name": "Bash",
"tool_use_id": "t", "tool_input": {"command": "ls"}, "tool_response": {"stdout": "<private>no</private>"}}"""


def test_the_hot_path_imports_nothing_slow(tmp_path: Path) -> None:
    # A tool call from its first byte to the spool: no runtime answers on port 1.
    command = [sys.executable, "-I", "-S", "-X", "importtime", str(HOOKS / "hook.py"), "PostToolUse"]
    environment = {"CLAUDE_MEM_DATA_DIR": str(tmp_path), "CLAUDE_MEM_WORKER_PORT": "1"}
    done = subprocess.run(command, input=EVENT, env=environment, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "capture.run" in imported
    assert list(tmp_path.glob("spool/worker/*.http"))
    assert imported & SLOW == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(HOOKS).as_posix())
def test_the_hooks_know_the_standard_library_and_themselves(path: Path) -> None:
    # `hooks` is how the type checker knows the folder; nothing imports it at run time.
    own = {"capture", "hooks"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        for name in names:
            assert name.partition(".")[0] in sys.stdlib_module_names | own


@pytest.mark.parametrize("path", [*MODULES, ROOT / "build" / "start.py"], ids=lambda path: path.name)
def test_what_older_pythons_run_parses_on_them(path: Path) -> None:
    ast.parse(path.read_text("utf-8"), feature_version=(3, 9))


def test_the_hook_runs_on_the_systems_own_python() -> None:
    python = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
    command = [python, "-I", "-S", str(HOOKS / "hook.py"), "NoSuchEvent"]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=30, env={})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
