"""The embedded Postgres over its life: first start, warm start, what a client sees, and how it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from server_beta.domain.errors import EngineFailed
from server_beta.engines.log import Log
from server_beta.engines.postgres import EmbeddedPostgres
from tests.support.embedded_postgres import fetch, superuser_dsn
from tests.support.processes import assert_no_process, processes_of
from tests.support.waiting import eventually


@pytest.fixture
async def engine(used_data_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    engine = EmbeddedPostgres(used_data_dir)
    yield engine
    await engine.stop()


async def test_a_warm_start_finds_what_the_first_one_stored(data_dir: Path) -> None:
    engine = EmbeddedPostgres(data_dir)
    assert not engine.is_alive()
    dsn = await engine.start()
    assert engine.is_alive()
    await fetch(dsn, "CREATE TABLE kept AS SELECT 'still here' AS it")
    await engine.stop()
    assert not engine.is_alive()

    try:
        assert await engine.start() == dsn
        assert await fetch(dsn, "SELECT it FROM kept") == "still here"
    finally:
        await engine.stop()


async def test_asyncpg_and_psycopg_connect_as_the_owner_of_the_database(engine: EmbeddedPostgres) -> None:
    dsn = await engine.start()
    owner = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()"
    assert await fetch(dsn, owner) == "claude_mem"
    assert await fetch(dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == ("claude_mem",)


async def test_the_database_speaks_utf8_and_sorts_alike_everywhere(engine: EmbeddedPostgres) -> None:
    dsn = await engine.start()
    assert await fetch(dsn, "SHOW server_encoding") == "UTF8"
    assert await fetch(dsn, "SELECT lower('ÄÖÜ') || upper('ß€λ')") == "äöüß€Λ"
    assert await fetch(dsn, "SELECT datlocprovider::text FROM pg_database WHERE datname = current_database()") == "b"


async def test_it_is_durable_and_small(engine: EmbeddedPostgres, data_dir: Path) -> None:
    dsn = await engine.start()
    for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
        assert await fetch(dsn, f"SHOW {name}") == "on", name
    # The postmaster, checkpointer, two writers and the autovacuum launcher; connections come and go.
    await eventually(lambda: len(processes_of(data_dir)) == 5)


async def test_starting_what_runs_changes_nothing(engine: EmbeddedPostgres) -> None:
    dsn = await engine.start()
    started = await fetch(dsn, "SELECT pg_postmaster_start_time()")
    assert await engine.start() == dsn
    assert await fetch(dsn, "SELECT pg_postmaster_start_time()") == started


async def test_stop_ends_open_transactions_and_leaves_no_process(engine: EmbeddedPostgres, data_dir: Path) -> None:
    dsn = await engine.start()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE unfinished (n integer)")
        await engine.stop()
        assert_no_process(data_dir, within=0)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert not (data_dir / "postgres" / "cluster" / "postmaster.pid").exists()
    assert not (data_dir / "postgres" / "process.json").exists()
    await engine.stop()


async def test_a_start_that_is_cancelled_leaves_nothing_that_breaks_the_next(data_dir: Path) -> None:
    engine = EmbeddedPostgres(data_dir)
    starting = asyncio.create_task(engine.start())
    await eventually(lambda: list(data_dir.glob("postgres/new-*/cluster/base")))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert_no_process(data_dir)
    assert not (data_dir / "postgres" / "cluster").exists()
    try:
        assert await fetch(await engine.start(), "SELECT 1") == 1
    finally:
        await engine.stop()


async def test_a_database_that_was_left_half_made_is_finished(engine: EmbeddedPostgres, data_dir: Path) -> None:
    await engine.start()
    await fetch(superuser_dsn(data_dir), "DROP DATABASE claude_mem")
    await fetch(superuser_dsn(data_dir), "DROP ROLE claude_mem")
    await engine.stop()
    assert await fetch(await engine.start(), "SELECT current_database()::text") == "claude_mem"


@pytest.mark.parametrize(
    ("relative", "content", "told"),
    [
        ("cluster/PG_VERSION", "16\n", "made by Postgres 16, and claude-mem has Postgres 18 now"),
        ("cluster/PG_VERSION", None, "does not hold a Postgres database"),
        ("cluster/global/pg_control", None, "could not find the database system"),
        ("cluster/global/pg_control", "rubbish", "postgres.log"),
        ("cluster/pg_hba.conf", "rubbish", "could not load"),
        ("passwords.json", None, "restore that file from a backup"),
        ("passwords.json", "{}", "restore that file from a backup"),
        ("passwords.json", '{"superuser": "a", "role": "b"}', "restore that file from a backup"),
    ],
)
async def test_a_damaged_cluster_fails_the_start_with_one_sentence(
    engine: EmbeddedPostgres, data_dir: Path, relative: str, content: str | None, told: str
) -> None:
    damaged = data_dir / "postgres" / relative
    if content is None:
        damaged.unlink()
    else:
        damaged.write_text(content)

    with pytest.raises(EngineFailed, match=told) as failure:
        await engine.start()

    assert "\n" not in str(failure.value)
    assert not engine.is_alive()
    assert_no_process(data_dir)


async def test_a_data_folder_that_cannot_be_used_fails_the_start_with_its_name(data_dir: Path) -> None:
    occupied = data_dir / "file"
    occupied.write_text("")
    with pytest.raises(EngineFailed, match=str(occupied)):
        await EmbeddedPostgres(occupied).start()


def test_the_log_stays_bounded_and_keeps_its_last_lines(data_dir: Path) -> None:
    log = Log(data_dir / "engine.log")
    os.write(log.fileno(), b"x" * 79 + b"\n")
    log.trim()
    assert log.path.stat().st_size == 80
    for number in range(100):
        os.write(log.fileno(), (b"y" * 79 + b"\n") * 1000 + b"chunk %d\n" % number)
    log.trim()
    os.write(log.fileno(), b"written after that\n")
    lines = log.path.read_bytes().splitlines()
    log.close()
    assert log.path.stat().st_size < 2 << 20
    assert lines[-2:] == [b"chunk 99", b"written after that"]
    assert set(lines[0]) == {ord("y")}
