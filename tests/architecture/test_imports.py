from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Planted:
    """An import that a contract forbids: the file it stands in, and what the contract is called there."""

    contract: str
    file: str
    line: str


PLANTED = [
    Planted("independent-runtimes", "server_beta/domain/planted.py", "import worker.domain"),
    Planted("independent-runtimes", "worker/domain/planted.py", "import server_beta.domain"),
    Planted("server-beta-layers", "server_beta/storage/planted.py", "from .. import services"),
    Planted("server-beta-layers", "server_beta/http/planted.py", "from .. import consumer"),
    Planted("server-beta-layers", "server_beta/storage/planted.py", "from .. import settings, providers"),
    Planted("server-beta-layers", "server_beta/planted.py", "from . import domain"),
    Planted("worker-layers", "worker/storage/planted.py", "from .. import services"),
    Planted("worker-layers", "worker/planted.py", "from . import domain"),
    Planted("protected-adapters", "server_beta/services/planted.py", "from .. import transport"),
    Planted("protected-adapters", "server_beta/consumer/planted.py", "from .. import providers"),
    Planted("protected-adapters", "server_beta/cli/planted.py", "from .. import engines"),
    Planted("protected-adapters", "worker/http/planted.py", "from .. import providers"),
    Planted("pure-domain", "server_beta/domain/planted.py", "import asyncpg"),
    Planted("pure-domain", "worker/domain/planted.py", "import sqlite3"),
    Planted("no-cycles", "server_beta/domain/planted.py", "from . import planted_too"),
    Planted("no-cycles", "worker/domain/planted.py", "from . import planted_too"),
]


def test_the_contracts_hold() -> None:
    assert broken(ROOT) == set()


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted.contract}:{planted.line}:{planted.file}")
def test_a_planted_violation_is_caught(tree: Path, planted: Planted) -> None:
    file = tree / "runtime" / planted.file
    file.write_text(planted.line + "\n", "utf-8")
    file.with_name("planted_too.py").write_text("from . import planted\n", "utf-8")
    assert planted.contract in broken(tree, planted.contract)


def test_every_contract_has_a_planted_violation() -> None:
    contracts = set(re.findall(r'^id = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), flags=re.MULTILINE))
    assert contracts == {planted.contract for planted in PLANTED}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the contracts look at."""
    shutil.copytree(ROOT / "runtime", tmp_path / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken(tree: Path, *contracts: str) -> set[str]:
    """Check the contracts in a tree and return the ids of the broken ones."""
    names = dict(
        re.findall(r'^id = "(.+)"\nname = "(.+)"$', (tree / "pyproject.toml").read_text("utf-8"), flags=re.MULTILINE)
    )
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    for contract in contracts:
        command += ["--contract", contract]
    environment = {**os.environ, "PYTHONPATH": str(tree / "runtime"), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    # Anything else than a verdict on each contract (a tree that cannot be read, a contract that names nothing) fails.
    verdicts = re.findall(r"^(.+) (KEPT|BROKEN)\s*$", done.stdout, flags=re.MULTILINE)
    assert len(verdicts) == len(contracts or names), done.stdout + done.stderr
    return {id for id, name in names.items() if (name, "BROKEN") in verdicts}
