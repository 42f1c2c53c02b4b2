"""Migrations: any number of processes, in order, once; an older store keeps its rows; what is not ours is refused."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog

from server_beta.domain.errors import DatabaseUnreachable, SchemaRefused
from server_beta.storage.database import Database
from server_beta.storage.migrate import _ADVISORY_LOCK, Migration, migrate, migrations
from tests.support.catalog import Link, links, schema
from tests.support.population import Population, populate, snapshot
from tests.support.postgres import PostgresServer
from tests.support.processes import start_python
from tests.support.waiting import eventually

_NEWEST = migrations()[-1].version
_EARLIER = [migration.version for migration in migrations()[:-1]]
_OURS, _THEIRS = Population("ours"), Population("theirs")
# The last version that took the word of the code for who owns what.
_UNTIED = migrations()[:7]
_PROCESS = """
import asyncio, os
from server_beta.storage.migrate import migrate
print(asyncio.run(migrate(os.environ["DSN"])))
"""


@contextlib.asynccontextmanager
async def _connected(dsn: str, **more: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(dsn, **more)
    try:
        yield connection
    finally:
        await connection.close()


async def _schema(dsn: str) -> list[tuple[object, ...]]:
    async with _connected(dsn) as connection:
        return await schema(connection)


@contextlib.contextmanager
def _processes(number: int, dsn: str, data_dir: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started = [start_python(["-c", _PROCESS], data_dir, {"DSN": dsn}) for _ in range(number)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


async def _waiting_for_a_lock(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    waiting: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return waiting


async def test_twenty_processes_may_migrate_at_once(empty_database: str, data_dir: Path) -> None:
    async with _connected(empty_database) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        with _processes(20, empty_database, data_dir) as started:

            async def all_wait() -> bool:
                return await _waiting_for_a_lock(connection) == 20

            await eventually(all_wait, within=60)
            await connection.execute("SELECT pg_advisory_unlock($1)", _ADVISORY_LOCK)
            answers = [await asyncio.to_thread(process.communicate, None, 60) for process in started]
            assert answers == [(f"{_NEWEST}\n", "")] * 20
        applied = await connection.fetch("SELECT version FROM schema_migrations ORDER BY version")
    assert [row["version"] for row in applied] == [migration.version for migration in migrations()]


@pytest.mark.parametrize("version", _EARLIER)
async def test_an_upgrade_equals_a_fresh_database_and_keeps_every_row(
    version: int, database: str, empty_database: str
) -> None:
    await migrate(empty_database, migrations()[:version])
    async with _connected(empty_database) as connection:
        for population in (_OURS, _THEIRS):
            await populate(connection, population)
        before = await snapshot(connection)
        assert not [table for table, rows in before.items() if not rows], "the population has rows for every table"
        columns = {table: await _columns(connection, table) for table in before}
        kept = {table: await _rows(connection, table, columns[table]) for table in before}
    with structlog.testing.capture_logs() as logs:
        assert await migrate(empty_database) == _NEWEST
    assert logs == []
    async with _connected(empty_database) as connection:
        assert {table: await _rows(connection, table, columns[table]) for table in before} == kept
        await populate(connection, Population("late"))
        assert await schema(connection) == await _schema(database)


async def test_a_fresh_database_takes_rows_of_every_table(database: str) -> None:
    async with _connected(database) as connection:
        await populate(connection, _OURS)
        assert not [table for table, rows in (await snapshot(connection)).items() if not rows]


async def _columns(connection: asyncpg.Connection[asyncpg.Record], table: str) -> str:
    names = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1", table
    )
    return ", ".join(row["column_name"] for row in names)


async def _rows(connection: asyncpg.Connection[asyncpg.Record], table: str, columns: str) -> list[str]:
    return [row[0] for row in await connection.fetch(f"SELECT ROW({columns})::text FROM {table} ORDER BY 1")]


_PARENTS = ("teams", "projects", "api_keys", "server_sessions", "agent_events", "observation_generation_jobs")


@pytest.mark.parametrize("parent", [*_PARENTS, "observations"])
async def test_rows_that_name_what_is_gone_do_not_stop_an_upgrade(
    parent: str, empty_database: str, postgres_server: PostgresServer
) -> None:
    await migrate(empty_database, _UNTIED)
    async with _connected(empty_database) as connection:
        await populate(connection, _OURS)
        theirs_alone = await snapshot(connection)
        await populate(connection, _THEIRS)
        known = await links(connection)
    async with _connected(postgres_server.superuser_dsn, database=urlsplit(empty_database).path[1:]) as superuser:
        await superuser.execute("SET session_replication_role = replica")
        own = "id" if parent == "teams" else "team_id"
        await superuser.execute(f"DELETE FROM {parent} WHERE {own} = $1", _THEIRS.team_id)
    with structlog.testing.capture_logs() as logs:
        assert await migrate(empty_database) == _NEWEST
    async with _connected(empty_database) as connection:
        for link in await links(connection):
            assert await _orphans(connection, link) == 0
        assert {link.name for link in known} < {link.name for link in await links(connection)}
        after = await snapshot(connection)
    said = [str(entry["detail"]) for entry in logs if entry["action"] == "migration_mended"]
    assert any(
        re.fullmatch(rf"(removed|untied) \d+ rows of \w+ that named rows of {parent} which .*", it) for it in said
    )
    ours = str(_OURS.team_id)
    for table, rows in theirs_alone.items():
        assert len([row for row in after[table] if ours in row]) == len(rows), table


async def _orphans(connection: asyncpg.Connection[asyncpg.Record], link: Link) -> int:
    named = " AND ".join(f"child.{column} IS NOT NULL" for column in link.columns)
    there = " AND ".join(f"parent.{there} = child.{here}" for here, there in link.pairs.items())
    found: int = await connection.fetchval(
        f"SELECT count(*) FROM {link.child} AS child WHERE {named} "
        f"AND NOT EXISTS (SELECT FROM {link.parent} AS parent WHERE {there})"
    )
    return found


async def test_a_newer_schema_is_refused(database: str) -> None:
    with pytest.raises(SchemaRefused, match=f"schema version {_NEWEST}.*run a newer claude-mem"):
        await migrate(database, migrations()[:-1])


@pytest.mark.parametrize("changed", range(len(migrations())))
async def test_a_migration_that_was_applied_in_another_form_is_refused(changed: int, database: str) -> None:
    ours = migrations()
    theirs = replace(ours[changed], sql=ours[changed].sql + "-- changed")
    with pytest.raises(SchemaRefused, match=rf"another form of migration {theirs.name} .* run the claude-mem"):
        await migrate(database, (*ours[:changed], theirs, *ours[changed + 1 :]))


async def test_nothing_is_applied_to_a_database_that_skipped_a_migration(empty_database: str) -> None:
    first, second, third, *_ = migrations()
    await migrate(empty_database, (first, second))
    before = await _schema(empty_database)
    with pytest.raises(SchemaRefused, match="another form"):
        await migrate(empty_database, (first, third))
    assert await _schema(empty_database) == before


async def test_a_migration_that_fails_leaves_the_version_before_it(empty_database: str) -> None:
    first, second, *_ = migrations()
    await migrate(empty_database, (first,))
    before = await _schema(empty_database)
    broken = Migration(2, second.name, "CREATE TABLE half (id integer); SELECT 1 / 0;")
    with pytest.raises(SchemaRefused, match=rf"refused migration {second.name} \(DivisionByZeroError\)"):
        await migrate(empty_database, (first, broken))
    assert await _schema(empty_database) == before
    assert await migrate(empty_database) == _NEWEST


async def test_a_process_that_is_killed_in_a_migration_leaves_the_version_before_it(
    empty_database: str, data_dir: Path, database: str
) -> None:
    await migrate(empty_database, migrations()[:1])
    before = await _schema(empty_database)
    async with _connected(empty_database) as connection:
        async with _connected(empty_database) as blocker, blocker.transaction():
            # The second migration ties its tables to this one.
            await blocker.execute("LOCK TABLE projects IN SHARE UPDATE EXCLUSIVE MODE")
            with _processes(1, empty_database, data_dir) as (process,):

                async def is_in_the_midst() -> bool:
                    return await _waiting_for_a_lock(connection) == 1

                await eventually(is_in_the_midst, within=60)
                process.send_signal(signal.SIGKILL)
                process.wait(10)

        async def is_alone() -> bool:
            connections: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            return connections == 1

        await eventually(is_alone)
        assert await schema(connection) == before
    assert await migrate(empty_database) == _NEWEST
    assert await _schema(empty_database) == await _schema(database)


async def test_a_database_that_may_not_be_changed_says_so(empty_database: str) -> None:
    async with _connected(empty_database) as connection:
        await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC, pg_database_owner")
    with pytest.raises(SchemaRefused, match=r"refuses to be prepared \(InsufficientPrivilegeError\)"):
        await migrate(empty_database)


async def test_a_database_that_is_not_there_is_named_by_its_setting() -> None:
    with pytest.raises(DatabaseUnreachable, match="CLAUDE_MEM_SERVER_DATABASE_URL"):
        await migrate("postgresql://nobody:secret@127.0.0.1:1/none")


@pytest.mark.parametrize("connect", [migrate, Database.open])
async def test_a_database_that_refuses_us_is_not_said_to_be_away(
    connect: Callable[[str], Awaitable[object]], empty_database: str
) -> None:
    parts = urlsplit(empty_database)
    stranger = parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":s3cret@")).geturl()
    nowhere = parts._replace(path="/not_there").geturl()
    with pytest.raises(DatabaseUnreachable, match="refuses the user or password of CLAUDE_MEM") as refused:
        await connect(stranger)
    with pytest.raises(DatabaseUnreachable, match=r"has no database of that name; .* correct CLAUDE_MEM") as missing:
        await connect(nowhere)
    assert "s3cret" not in str(refused.value)
    assert "not_there" not in str(missing.value)


async def test_a_database_that_goes_away_during_a_migration_is_said_to_be_away(empty_database: str) -> None:
    async with _connected(empty_database) as holder:
        await holder.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        migrating = asyncio.create_task(migrate(empty_database))

        async def cut() -> int | None:
            ended: int | None = await holder.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return ended

        await eventually(cut)
        with pytest.raises(DatabaseUnreachable, match="stopped answering"):
            await migrating
