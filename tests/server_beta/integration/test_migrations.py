"""Migrations: any number of processes, in order, once; refused where the schema is not ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from server_beta.domain.errors import DatabaseUnreachable, SchemaRefused
from server_beta.storage.migrate import _ADVISORY_LOCK, migrate, migrations
from tests.support.waiting import eventually

_SCHEMA = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL, NULL
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT tablename, indexname, indexdef, NULL, NULL FROM pg_indexes WHERE schemaname = 'public'
ORDER BY 1, 2, 3
"""


async def _schema(dsn: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(_SCHEMA)]
    finally:
        await connection.close()


async def test_twenty_processes_may_migrate_at_once(empty_database: str) -> None:
    newest = migrations()[-1].version
    assert await asyncio.gather(*(migrate(empty_database) for _ in range(20))) == [newest] * 20
    connection = await asyncpg.connect(empty_database)
    applied = await connection.fetch("SELECT version FROM schema_migrations ORDER BY version")
    await connection.close()
    assert [row["version"] for row in applied] == [migration.version for migration in migrations()]


async def test_an_upgrade_from_any_version_equals_a_fresh_database(database: str, empty_database: str) -> None:
    fresh = await _schema(database)
    for last in range(1, len(migrations()) + 1):
        await migrate(empty_database, migrations()[:last])
    assert await _schema(empty_database) == fresh


async def test_a_newer_schema_is_refused(database: str) -> None:
    with pytest.raises(SchemaRefused, match="run a newer claude-mem"):
        await migrate(database, migrations()[:-1])


async def test_a_migration_that_was_applied_in_another_form_is_refused(database: str) -> None:
    first, *others = migrations()
    with pytest.raises(SchemaRefused, match="another form"):
        await migrate(database, (replace(first, sql=first.sql + "-- changed"), *others))


async def test_a_migration_that_fails_leaves_nothing_behind(empty_database: str) -> None:
    broken = replace(migrations()[0], sql="CREATE TABLE half (id integer); SELECT 1 / 0;")
    with pytest.raises(SchemaRefused):
        await migrate(empty_database, (broken,))
    assert not [row for row in await _schema(empty_database) if row[0] == "half"]
    assert await migrate(empty_database) == migrations()[-1].version


async def test_a_database_that_is_not_there_is_named_by_its_setting() -> None:
    with pytest.raises(DatabaseUnreachable, match="CLAUDE_MEM_SERVER_DATABASE_URL"):
        await migrate("postgresql://nobody:secret@127.0.0.1:1/none")


async def test_a_database_that_goes_away_during_a_migration_is_said_to_be_away(empty_database: str) -> None:
    async with _only_migrator(empty_database) as holder:
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


@asynccontextmanager
async def _only_migrator(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        yield connection
    finally:
        await connection.close()
