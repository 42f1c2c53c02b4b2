"""One connection to the database file, and the one place where values become what SQLite stores."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from ..domain.instants import to_milliseconds
from .statements import statement

_BUSY_SECONDS = 5.0
# Durable before it is acknowledged: FULL waits for the disk at every commit, and the writer shares commits.
# Deleted text is overwritten, because a turn that turns out to be private must not stay in free pages; the write-ahead
# log, where it stays as well, is what `Connection.forget` is for.
_PRAGMAS = ("foreign_keys = ON", "synchronous = FULL", "secure_delete = ON")


# The file is locked for too long, the disk is full or fails, the system is out of memory: later it may work. Any other
# error is a mistake in a statement, which must not pass for a busy database.
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
    }
)


def is_passing(error: BaseException) -> bool:
    """Tell whether the database refused something that it may accept later."""
    # The low byte of an extended code is the code.
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING


class Connection:
    """Runs SQL files by name; arguments are named as in the file. Used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.has_forgotten = False

    def rows(self, name: str, /, **arguments: object) -> Sequence[sqlite3.Row]:
        """Run a statement and return its rows."""
        return self._connection.execute(statement(name), _stored(arguments)).fetchall()

    def row(self, name: str, /, **arguments: object) -> sqlite3.Row | None:
        """Run a statement and return its first row, if any."""
        found: sqlite3.Row | None = self._connection.execute(statement(name), _stored(arguments)).fetchone()
        return found

    def run(self, name: str, /, **arguments: object) -> int:
        """Run a statement and return how many rows it touched."""
        return self._connection.execute(statement(name), _stored(arguments)).rowcount

    def forget(self) -> None:
        """Note that what was changed must be found nowhere in its old form: the writer then empties the log."""
        self.has_forgotten = True


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the file in autocommit mode; transactions are begun by name."""
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.row_factory = sqlite3.Row
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _stored(arguments: dict[str, object]) -> dict[str, object]:
    return {name: _as_stored(value) for name, value in arguments.items()}


def _as_stored(value: object) -> object:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return to_milliseconds(value)
        case dict() | list() | tuple():
            return json.dumps(value, separators=(",", ":"))
        case _:
            return value
