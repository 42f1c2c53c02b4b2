from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.hooks.client import HookClient

HOOKS = Path(__file__).resolve().parents[2] / "hooks"
# Stands where the launcher stands, so that a SessionStart under test never starts a real runtime.
_RECORDING_LAUNCHER = """\
import os, sys
with open("launch-environment", "w") as file:
    file.write(chr(10).join(sorted(os.environ)))
with open("launches", "a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
"""
_BUDGETS = ("CAPTURE_SECONDS = 0.25", '"SessionStart": 2.0', '"UserPromptSubmit": 1.0')


@pytest.fixture(scope="session")
def hooks_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("plugin") / "hooks"
    shutil.copytree(HOOKS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "launcher.py").write_text(_RECORDING_LAUNCHER)
    return copy


@pytest.fixture(scope="session")
def patient_hooks_copy(hooks_copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("patient") / "hooks"
    shutil.copytree(hooks_copy, copy, ignore=shutil.ignore_patterns("__pycache__"))
    program = (copy / "capture" / "run.py").read_text()
    for budget in _BUDGETS:
        assert program.count(budget) == 1
        program = program.replace(budget, budget.rstrip("0123456789.") + "15.0")
    (copy / "capture" / "run.py").write_text(program)
    return copy


@pytest.fixture
def client(patient_hooks_copy: Path, tmp_path: Path) -> HookClient:
    """The hook with all the time in the world: whether it meets a deadline is not what these tests ask."""
    return _client(patient_hooks_copy, tmp_path)


@pytest.fixture
def punctual_client(hooks_copy: Path, tmp_path: Path) -> HookClient:
    """The hook with the deadlines that users get."""
    return _client(hooks_copy, tmp_path)


def _client(hooks: Path, folder: Path) -> HookClient:
    for name in ("home", "project"):
        (folder / name).mkdir()
    return HookClient(hooks, folder / "data", folder / "project", folder / "home")
