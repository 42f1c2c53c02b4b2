from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTED: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["claude_mem"]["verified_copies"]


@pytest.mark.parametrize("name", LISTED)
def test_a_verified_copy_equals_its_original(name: str) -> None:
    original, copy = (ROOT / "runtime" / package / name for package in ("server_beta", "worker"))
    assert copy.read_bytes() == original.read_bytes(), "run `make copies`"


def test_what_is_equal_is_listed() -> None:
    # Equal files that nobody keeps equal drift apart one day.
    equal = []
    for original in (ROOT / "runtime" / "server_beta").rglob("*.py"):
        name = original.relative_to(ROOT / "runtime" / "server_beta").as_posix()
        copy = ROOT / "runtime" / "worker" / name
        is_code = original.name not in ("__init__.py", "__main__.py")
        if is_code and copy.is_file() and copy.read_bytes() == original.read_bytes():
            equal.append(name)
    assert sorted(equal) == sorted(LISTED)


def test_the_list_is_sorted() -> None:
    assert sorted(LISTED) == LISTED


def test_a_copy_that_differs_is_refreshed(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "copies.py").write_bytes((ROOT / "build" / "copies.py").read_bytes())
    (tmp_path / "pyproject.toml").write_text('[tool.claude_mem]\nverified_copies = ["domain/a.py", "domain/b.py"]\n')
    originals, copies = (tmp_path / "runtime" / package / "domain" for package in ("server_beta", "worker"))
    originals.mkdir(parents=True)
    (originals / "a.py").write_text("a = 1\n")
    (originals / "b.py").write_text("b = 1\n")
    copies.mkdir(parents=True)
    (copies / "a.py").write_text("a = 2\n")
    (copies / "b.py").write_text("b = 1\n")
    command = [sys.executable, str(tmp_path / "build" / "copies.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "copied domain/a.py\n"
    assert (copies / "a.py").read_text() == "a = 1\n"
