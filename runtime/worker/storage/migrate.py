"""Migrations: numbered SQL files, each applied once, in order, in a transaction of its own."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from ..domain.errors import SchemaRefused
from ..domain.instants import to_milliseconds

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file, which tells whether it was changed after it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """Split the file: sqlite3 runs one statement at a time inside a transaction; triggers hold semicolons."""
        pending = ""
        for line in self.sql.splitlines(keepends=True):
            pending += line
            if sqlite3.complete_statement(pending):
                yield pending
                pending = ""


def migrations() -> tuple[Migration, ...]:
    """Read the migrations that this version ships, in order."""
    folder = files(__package__).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name, folder.joinpath(name).read_text("utf-8")) for name in names)


def migrate(connection: sqlite3.Connection, wanted: tuple[Migration, ...] | None = None) -> int:
    """Bring the database up to this version's schema and return its version.

    Several processes may call this at once. Raises SchemaRefused when the database is newer than this program or an
    applied migration is not the one that this program ships.
    """
    wanted = migrations() if wanted is None else wanted
    connection.execute(_LEDGER)
    for migration in wanted:
        connection.execute("BEGIN IMMEDIATE")
        try:
            applied = _applied(connection)
            _check(applied, wanted)
            if migration.version not in applied:
                _apply(connection, migration)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
    return wanted[-1].version if wanted else 0


def _applied(connection: sqlite3.Connection) -> dict[int, str]:
    return dict(connection.execute("SELECT version, checksum FROM schema_migrations").fetchall())


def _check(applied: dict[int, str], wanted: tuple[Migration, ...]) -> None:
    known = {migration.version: migration for migration in wanted}
    if newer := sorted(set(applied) - set(known)):
        raise SchemaRefused(
            f"The database has schema version {newer[-1]}, which this program does not know; run a newer claude-mem."
        )
    for version, checksum in applied.items():
        if known[version].checksum != checksum:
            raise SchemaRefused(f"Migration {known[version].name} was applied to the database in another form.")


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    for sql in migration.statements():
        connection.execute(sql)
    connection.execute(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
        (migration.version, migration.name, migration.checksum, to_milliseconds(datetime.now(UTC))),
    )
