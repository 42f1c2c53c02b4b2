from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.hooks.client import HookClient

HOOKS = Path(__file__).resolve().parents[2] / "hooks"
# Stands where the launcher stands, so that a SessionStart under test never starts a real runtime.
_RECORDING_LAUNCHER = """\
import os, sys
with open(os.path.join(os.environ["CLAUDE_MEM_DATA_DIR"], "launches"), "a") as file:
    file.write(" ".join(sys.argv[1:]) + chr(10))
names = sorted(os.environ)
with open(os.path.join(os.environ["CLAUDE_MEM_DATA_DIR"], "launch-environment"), "w") as file:
    file.write(chr(10).join(names))
"""


@pytest.fixture(scope="session")
def hooks_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("plugin") / "hooks"
    shutil.copytree(HOOKS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "launcher.py").write_text(_RECORDING_LAUNCHER)
    return copy


@pytest.fixture
def client(hooks_copy: Path, tmp_path: Path) -> HookClient:
    for name in ("home", "project"):
        (tmp_path / name).mkdir()
    return HookClient(hooks_copy, tmp_path / "data", tmp_path / "project", tmp_path / "home")
