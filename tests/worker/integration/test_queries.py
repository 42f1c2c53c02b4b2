"""Every SQL file fits the migrated schema, is used, and is one statement."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

import worker.storage
from worker.storage.connection import connect
from worker.storage.database import Database
from worker.storage.statements import statement

_STORAGE = Path(worker.storage.__file__).parent
_FOLDER = _STORAGE / "queries"
_NAMES = sorted(str(path.relative_to(_FOLDER).with_suffix("")) for path in _FOLDER.rglob("*.sql"))


def _bare(name: str) -> str:
    return re.sub(r"--.*", "", statement(name))


@pytest.mark.parametrize("name", _NAMES)
def test_a_statement_fits_the_schema(name: str, store: Database, path: Path) -> None:
    connection = connect(path, read_only=False)
    try:
        arguments = dict.fromkeys(re.findall(r":([a-z_]+)", _bare(name)))
        connection.execute(f"EXPLAIN {statement(name)}", arguments)
    finally:
        connection.close()


@pytest.mark.parametrize("name", _NAMES)
def test_a_statement_names_its_columns(name: str) -> None:
    assert not re.search(r"SELECT\s+\*|\.\*", _bare(name))
    assert ";" not in _bare(name)


def test_every_file_is_used_and_every_use_has_a_file() -> None:
    used = {
        name
        for module in _STORAGE.glob("*.py")
        for name in re.findall(r'"([a-z]+/[a-z_]+)"', module.read_text("utf-8"))
    }
    assert used == set(_NAMES)


def test_a_statement_with_a_missing_argument_is_no_busy_database(store: Database) -> None:
    with pytest.raises(sqlite3.ProgrammingError):
        store._writer.submit(lambda connection: connection.run("jobs/get")).result(5)
