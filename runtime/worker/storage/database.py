"""The database file: one writer, a few readers that never wait for it."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ..domain.errors import DatabaseUnusable, Unavailable
from .connection import Connection, connect, is_passing
from .migrate import migrate
from .writer import Writer

T = TypeVar("T")

_READERS = 2
# Upserts and window functions; everything newer is left alone, so that the SQLite of an old system will do.
_OLDEST_SQLITE = (3, 25, 0)


class Database:
    """Every change goes through `write`, every look through `read`; both run outside of the event loop."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._readers = ThreadPoolExecutor(_READERS, "reader")
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open the file, made on first use for this user alone, and bring its schema up to date; blocks.

        Raises DatabaseUnusable or SchemaRefused, in one sentence.
        """
        _check_library()
        try:
            _make_private(path)
            connection = connect(path, read_only=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()
                migrate(connection)
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            raise DatabaseUnusable(f"{path} cannot be opened: {error.strerror}.") from error
        except sqlite3.DatabaseError as error:
            raise DatabaseUnusable(
                f"{path} cannot be used ({error}); restore it from a backup, or move it away to begin anew."
            ) from error
        return cls(path, Writer(connection))

    @property
    def is_storing(self) -> bool:
        """Whether the latest change could be stored."""
        return self._writer.is_storing

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run work that changes something, all or nothing; returns once it is durable. Raises Unavailable."""
        return await asyncio.wrap_future(self._writer.submit(work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run work that only looks, on one state of the database. Raises Unavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    def close(self) -> None:
        """Finish what was submitted and close the file; blocks."""
        self._readers.shutdown()
        while not self._idle.empty():
            self._idle.get_nowait().close()
        self._writer.close()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            connection = self._borrow()
            try:
                connection.execute("BEGIN")
                try:
                    return work(Connection(connection))
                finally:
                    connection.execute("ROLLBACK")
            finally:
                self._idle.put(connection)
        except sqlite3.Error as error:
            if is_passing(error):
                raise Unavailable from error
            raise

    def _borrow(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return connect(self._path, read_only=True)


def _check_library() -> None:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        wanted = ".".join(map(str, _OLDEST_SQLITE))
        raise DatabaseUnusable(
            f"The SQLite of this Python is {found}, which is too old; use a Python with {wanted} or newer."
        )
    memory = sqlite3.connect(":memory:")
    try:
        memory.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
    except sqlite3.OperationalError as error:
        raise DatabaseUnusable(
            f"The SQLite {found} of this Python has no full-text search (FTS5); use another Python."
        ) from error
    finally:
        memory.close()


def _make_private(path: Path) -> None:
    """Make the file, or take everyone else's access away; SQLite gives its side files the same mode."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
