"""Fresh and upgraded databases are equal; a foreign one is refused in one sentence."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.processes import clean_environment
from worker.domain.errors import SchemaRefused
from worker.storage.connection import connect
from worker.storage.database import Database
from worker.storage.migrate import Migration, migrate, migrations


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    path.touch()
    opened = connect(path, read_only=False)
    yield opened
    opened.close()


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
    return [(name, sql) for name, sql in rows]


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_every_line_of_a_migration_belongs_to_a_statement() -> None:
    for migration in migrations():
        assert "".join(migration.statements()) == migration.sql


@pytest.mark.parametrize("first", range(1, len(migrations()) + 1))
def test_an_upgraded_database_equals_a_fresh_one(connection: sqlite3.Connection, tmp_path: Path, first: int) -> None:
    migrate(connection, migrations()[:first])
    assert migrate(connection) == len(migrations())
    fresh_path = tmp_path / "fresh.db"
    Database.open(fresh_path).close()
    fresh = connect(fresh_path, read_only=True)
    try:
        assert _schema(connection) == _schema(fresh)
    finally:
        fresh.close()


def test_migrating_again_changes_nothing(connection: sqlite3.Connection) -> None:
    migrate(connection)
    before = connection.execute("SELECT version, checksum, applied_at FROM schema_migrations").fetchall()
    migrate(connection)
    after = connection.execute("SELECT version, checksum, applied_at FROM schema_migrations").fetchall()
    assert list(map(tuple, after)) == list(map(tuple, before))


def test_a_newer_schema_is_refused_in_one_sentence(path: Path) -> None:
    Database.open(path).close()
    newer = connect(path, read_only=False)
    newer.execute("INSERT INTO schema_migrations VALUES (99, '0099_future.sql', 'x', 0)")
    newer.close()
    with pytest.raises(
        SchemaRefused,
        match=r"^The database has schema version 99, which this program does not know; run a newer claude-mem\.$",
    ):
        Database.open(path)


def test_a_changed_migration_is_refused(connection: sqlite3.Connection) -> None:
    migrate(connection)
    first, *others = migrations()
    with pytest.raises(SchemaRefused, match="another form"):
        migrate(connection, (replace(first, sql=first.sql + "\n-- changed"), *others))


def test_a_migration_that_fails_leaves_nothing(connection: sqlite3.Connection) -> None:
    broken = Migration(len(migrations()) + 1, "0099_broken.sql", "CREATE TABLE half (a);\nCREATE TABLE half (a);\n")
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, (*migrations(), broken))
    assert not connection.in_transaction
    assert "half" not in dict(_schema(connection))
    assert migrate(connection) == len(migrations())


def test_processes_that_start_at_once_migrate_once(path: Path) -> None:
    program = (
        "import sys, pathlib; from worker.storage.database import Database; "
        "Database.open(pathlib.Path(sys.argv[1])).close()"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)],
            env=clean_environment(path.parent),
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    assert [process.communicate(timeout=60)[1] for process in started] == [""] * 6
    opened = connect(path, read_only=True)
    applied = opened.execute("SELECT count(*) FROM schema_migrations").fetchone()[0]
    opened.close()
    assert applied == len(migrations())
