"""One writer, shared commits, private files, readers that do not wait."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.waiting import eventually
from worker.domain.errors import DatabaseUnusable, Unavailable
from worker.domain.records import Project
from worker.storage import projects
from worker.storage.connection import Connection
from worker.storage.database import Database

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _add(connection: Connection, key: str) -> Project:
    return projects.find_or_create(connection, key, key, _NOW)


def _adding(key: str) -> Callable[[Connection], Project]:
    return lambda connection: _add(connection, key)


def _keys(connection: Connection) -> list[str]:
    return [project.key for project in projects.listed(connection, None, None)]


async def test_the_file_is_in_wal_mode_and_private(store: Database, path: Path) -> None:
    await store.write(lambda connection: _add(connection, "one"))
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["worker.db", "worker.db-shm", "worker.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    settings = {
        name: store._writer._raw.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}


def test_a_file_that_others_could_read_is_made_private(path: Path) -> None:
    path.touch(0o644)
    Database.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_pieces_that_wait_together_share_a_commit(store: Database) -> None:
    commits: list[str] = []
    store._writer._raw.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    held, begun = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        begun.set()
        held.wait(5)

    first = asyncio.create_task(store.write(hold))
    await eventually(begun.is_set)
    others = [asyncio.create_task(store.write(_adding(f"p{number}"))) for number in range(200)]
    await eventually(lambda: store._writer._submissions.qsize() == 200)
    held.set()
    await asyncio.gather(first, *others)
    assert len(commits) == 2
    assert len(await store.read(_keys)) == 200


async def test_a_piece_that_fails_takes_nothing_of_its_neighbours_with_it(store: Database) -> None:
    def fail(connection: Connection) -> None:
        _add(connection, "half")
        raise ValueError("a mistake")

    outcomes = await asyncio.gather(
        store.write(lambda connection: _add(connection, "before")),
        store.write(fail),
        store.write(lambda connection: _add(connection, "after")),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Project, ValueError, Project]
    assert await store.read(_keys) == ["after", "before"]


async def test_a_full_disk_stores_nothing_and_says_unavailable(store: Database) -> None:
    pages = store._writer._raw.execute("PRAGMA page_count").fetchone()[0]
    store._writer._raw.execute(f"PRAGMA max_page_count = {pages + 2}")
    outcomes = await asyncio.gather(
        *(store.write(_adding(f"{number}" * 3000)) for number in range(9)),
        return_exceptions=True,
    )
    assert any(isinstance(outcome, Unavailable) for outcome in outcomes)
    kept = sum(isinstance(outcome, Project) for outcome in outcomes)
    assert len(await store.read(_keys)) == kept
    # A piece that changes nothing needs no room, so that it proves nothing.
    await store.write(_keys)
    assert not store.is_storing
    store._writer._raw.execute("PRAGMA max_page_count = 1000000")
    await store.write(lambda connection: _add(connection, "later"))
    assert "later" in await store.read(_keys)
    assert store.is_storing


async def test_readers_do_not_wait_for_the_writer(store: Database) -> None:
    await store.write(lambda connection: _add(connection, "one"))
    held, begun = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        _add(connection, "two")
        begun.set()
        held.wait(5)

    writing = asyncio.create_task(store.write(hold))
    await eventually(begun.is_set)
    try:
        async with asyncio.timeout(2):
            assert await store.read(_keys) == ["one"]
    finally:
        held.set()
    await writing
    assert await store.read(_keys) == ["one", "two"]


async def test_readers_cannot_write(store: Database) -> None:
    with pytest.raises(Unavailable):
        await store.read(lambda connection: _add(connection, "one"))


async def test_a_write_that_nobody_waits_for_any_more_is_not_begun(store: Database) -> None:
    held, begun = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        begun.set()
        held.wait(5)

    first = asyncio.create_task(store.write(hold))
    await eventually(begun.is_set)
    second = asyncio.create_task(store.write(lambda connection: _add(connection, "abandoned")))
    await eventually(lambda: store._writer._submissions.qsize() == 1)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    held.set()
    await first
    assert await store.read(_keys) == []


async def test_what_was_submitted_is_stored_before_the_file_is_closed(path: Path) -> None:
    store = Database.open(path)
    futures = [store._writer.submit(_adding(f"p{number}")) for number in range(50)]
    store.close()
    assert all(future.done() for future in futures)
    with pytest.raises(Unavailable):
        await store.write(lambda connection: _add(connection, "late"))
    assert not path.with_name("worker.db-wal").exists()
    reopened = Database.open(path)
    assert len(await reopened.read(_keys)) == 50
    reopened.close()


def test_a_file_that_is_no_database_refuses_the_start(path: Path) -> None:
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(DatabaseUnusable, match=r"worker\.db cannot be used .*move it away"):
        Database.open(path)


def test_a_folder_that_is_missing_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnusable, match="cannot be opened"):
        Database.open(tmp_path / "missing" / "worker.db")


def test_an_old_sqlite_refuses_the_start(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 24, 0))
    with pytest.raises(DatabaseUnusable, match="too old"):
        Database.open(path)
