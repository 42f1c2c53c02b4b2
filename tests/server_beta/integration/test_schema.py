"""What the schema itself refuses: another tenant's rows, and rows that contradict themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from tests.support.catalog import Link, columns, links
from tests.support.population import NOON, Population, populate

_OURS, _THEIRS = Population("ours"), Population("theirs")
_BARE = _THEIRS.id("bare")
_JOBS = "observation_generation_jobs"
_SOURCES = "observation_sources"

# Ids that name no row which another tenant could have.
_NO_LINKS = {
    (_JOBS, "source_id"): "its kinds are tied by agent_event_id, closing_event_id and server_session_id",
    (_SOURCES, "source_id"): "its kinds are tied by agent_event_id and server_session_id",
    ("audit_log", "api_key_id"): "what a key did stays known when the key is gone",
    ("api_keys", "installation_id"): "a data folder's identity, not a row",
    ("changes", "subject_id"): "what was deleted is told by its id",
}
# The only unique columns that span the tenants: nobody chooses an id, and a key is found before its team is known.
_UNIQUE_EVERYWHERE = {("id",), ("seq",), ("key_hash",)}


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    opened = await asyncpg.connect(database)
    for population in (_OURS, _THEIRS):
        await populate(opened, population)
    # With nothing in it, so that a row which seems to move there collides with none.
    await opened.execute(
        "INSERT INTO projects (id, team_id, key, name) VALUES ($1, $2, 'bare', 'bare')", _BARE, _THEIRS.team_id
    )
    yield opened
    await opened.close()


async def test_every_row_of_a_project_is_tied_to_its_project_and_team(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    known = await links(connection)
    tied = {
        link.child for link in known if link.parent == "projects" and link.pairs.keys() == {"project_id", "team_id"}
    }
    # Each of its rows has one job, and the job has the same project and team.
    through = {"observation_generation_job_events": _JOBS}
    for child, parent in through.items():
        assert any(
            link.child == child
            and link.parent == parent
            and link.pairs == {"job_id": "id", "project_id": "project_id", "team_id": "team_id"}
            for link in known
        )
        assert parent in tied
    named = {table for table, column in await columns(connection, "uuid") if column == "project_id"}
    assert len(named) > 8
    assert named - tied == set(through)
    optional = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND is_nullable = 'YES' "
        "AND table_name = ANY ($1) AND column_name IN ('job_id', 'team_id', 'project_id')",
        list(through),
    )
    assert optional == []


async def test_every_id_that_names_a_row_is_tied_to_its_tenant(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    known = await links(connection)
    by_tenant = {(link.child, column) for link in known if "team_id" in link.columns for column in link.columns}
    ids = {(table, column) for table, column in await columns(connection, "uuid") if column != "id"}
    assert ids - by_tenant - set(_NO_LINKS) == set()
    assert not set(_NO_LINKS) & by_tenant
    of_tenants = {table for table, column in await columns(connection, "uuid") if column == "team_id"}
    assert [link.name for link in known if link.parent in of_tenants and "team_id" not in link.pairs] == []


async def test_no_row_can_name_another_tenants(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    tried = 0
    for link in await links(connection):
        for column, there in link.pairs.items():
            if link.parent != "teams":
                assert await _refusal(connection, link, column, there) == link.name, (link.child, column)
                tried += 1
    assert tried > 30


async def _refusal(connection: asyncpg.Connection[asyncpg.Record], link: Link, column: str, there: str) -> str | None:
    """Name a row of theirs in a row of ours, with no other constraint in the way; return which constraint refused."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        others = await connection.fetch(
            "SELECT conrelid::regclass::text AS holder, conname FROM pg_constraint WHERE contype IN ('c', 'f') "
            "AND $1::text::regclass IN (conrelid, confrelid) AND conname <> $2",
            link.child,
            link.name,
        )
        for other in others:
            await connection.execute(f'ALTER TABLE {other["holder"]} DROP CONSTRAINT "{other["conname"]}"')
        if await _is_generated(connection, link.child, column):
            await connection.execute(f"ALTER TABLE {link.child} ALTER COLUMN {column} DROP EXPRESSION")
        full = " AND ".join(f"{name} IS NOT NULL" for name in link.columns)
        ours: str | None = await connection.fetchval(
            f"SELECT ctid::text FROM {link.child} WHERE team_id = $1 AND {full} LIMIT 1", _OURS.team_id
        )
        assert ours is not None, f"the population has a row that fills {link.name}"
        theirs = await connection.fetchval(
            f"SELECT {there} FROM {link.parent} WHERE team_id = $1 ORDER BY id = $2 DESC LIMIT 1",
            _THEIRS.team_id,
            _BARE,
        )
        await connection.execute(f"UPDATE {link.child} SET {column} = $1 WHERE ctid = $2::text::tid", theirs, ours)
    except asyncpg.ForeignKeyViolationError as error:
        return str(error.constraint_name)
    finally:
        await transaction.rollback()
    return None


async def _is_generated(connection: asyncpg.Connection[asyncpg.Record], table: str, column: str) -> bool:
    generated: str = await connection.fetchval(
        "SELECT is_generated FROM information_schema.columns WHERE table_name = $1 AND column_name = $2", table, column
    )
    return generated == "ALWAYS"


async def test_what_is_unique_is_unique_within_a_tenant(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    tied = {
        (link.child, column) for link in await links(connection) if "team_id" in link.columns for column in link.columns
    }
    tied |= {("projects", "team_id"), ("team_members", "team_id")}
    uniques = await connection.fetch(
        "SELECT indrelid::regclass::text AS name, ARRAY("
        "    SELECT coalesce(attname::text, '') FROM unnest(indkey) WITH ORDINALITY AS key (number, place)"
        "    LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = number ORDER BY place"
        ") AS columns FROM pg_index JOIN pg_class ON pg_class.oid = indrelid "
        "WHERE indisunique AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations'"
    )
    assert len(uniques) > 15
    across = [
        (row["name"], *row["columns"])
        for row in uniques
        if tuple(row["columns"]) not in _UNIQUE_EVERYWHERE
        and not any((row["name"], column) in tied for column in row["columns"])
    ]
    assert across == []


async def test_a_row_that_others_name_can_be_deleted_without_reading_whole_tables(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    # Read once for each project or key that is deleted, and an index would cost every recorded event.
    rare = {"jobs_api_key"}
    indexed = {
        (row["name"], row["first"])
        for row in await connection.fetch(
            "SELECT indrelid::regclass::text AS name, attname::text AS first FROM pg_index "
            "JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
        )
    }
    unfound = {
        link.name
        for link in await links(connection)
        if not any(
            (link.child, column) in indexed
            # Few projects, many rows in each: the row that is named finds fewer than its project does.
            for column in set(link.columns) - {"project_id", "team_id"} or set(link.columns)
        )
    }
    assert unfound - rare == set()


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A change that contradicts a CHECK: which row of ours, and what becomes of it."""

    table: str
    where: str
    change: str


_STATUSES = ("queued", "processing", "completed", "failed", "cancelled")
_TIMES = ("completed_at", "failed_at", "cancelled_at")
_VIOLATIONS: dict[str, tuple[_Wrong, ...]] = {
    "job_attempts": (_Wrong(_JOBS, "status = 'queued'", "attempts = max_attempts + 1"),),
    "observation_generation_jobs_attempts_check": (_Wrong(_JOBS, "status = 'queued'", "attempts = -1"),),
    "job_status": (_Wrong(_JOBS, "status = 'queued'", "status = 'paused'"),),
    "job_terminal": (
        *(
            _Wrong(_JOBS, f"status = '{status}'", f"{time} = now()")
            for status in _STATUSES
            for time in _TIMES
            if status[:4] != time[:4]
        ),
        *(_Wrong(_JOBS, f"status = '{time[:-3]}'", f"{time} = NULL") for time in _TIMES),
        *(_Wrong(_JOBS, "status = 'queued'", f"status = '{time[:-3]}'") for time in _TIMES),
    ),
    "job_lease": (
        _Wrong(_JOBS, "status = 'processing'", "locked_by = NULL"),
        _Wrong(_JOBS, "status = 'processing'", "locked_until = NULL"),
        _Wrong(_JOBS, "status = 'queued'", "locked_by = 'x', locked_until = now()"),
    ),
    "job_source": (
        _Wrong(_JOBS, "source_type = 'agent_event'", "agent_event_id = NULL"),
        _Wrong(_JOBS, "source_type = 'agent_event'", "source_id = gen_random_uuid()"),
        _Wrong(_JOBS, "source_type = 'agent_event'", "turn_key = 'turn'"),
        _Wrong(_JOBS, "source_type = 'event_batch'", "turn_key = NULL"),
        _Wrong(_JOBS, "source_type = 'event_batch'", "server_session_id = NULL"),
        _Wrong(_JOBS, "source_type = 'event_batch'", "agent_event_id = source_id"),
        _Wrong(_JOBS, "source_type = 'session_summary'", "server_session_id = NULL"),
        _Wrong(_JOBS, "source_type = 'session_summary'", "turn_key = 'turn'"),
        _Wrong(_JOBS, "source_type = 'observation_reindex'", "turn_key = 'turn'"),
        _Wrong(_JOBS, "source_type = 'observation_reindex'", "source_type = 'anything'"),
    ),
    "source_model": (
        _Wrong(_SOURCES, "source_type = 'agent_event'", "agent_event_id = NULL"),
        _Wrong(_SOURCES, "source_type = 'agent_event'", "source_id = gen_random_uuid()"),
        _Wrong(_SOURCES, "source_type = 'event_batch'", "server_session_id = NULL"),
        _Wrong(_SOURCES, "source_type = 'event_batch'", "agent_event_id = source_id"),
        _Wrong(_SOURCES, "source_type = 'session_summary'", "server_session_id = NULL"),
        _Wrong(_SOURCES, "source_type = 'session_summary'", "source_id = gen_random_uuid()"),
        _Wrong(_SOURCES, "source_type = 'manual'", "source_id = gen_random_uuid()"),
        _Wrong(_SOURCES, "source_type = 'manual'", "agent_event_id = source_id"),
    ),
    "observation_sources_source_type_check": (
        # A type that the model does not know is refused by both; this one is looked at first.
        _Wrong(_SOURCES, "source_type = 'manual'", "source_type = 'hearsay'"),
    ),
    "agent_events_source_type_check": (_Wrong("agent_events", "true", "source_type = 'rumour'"),),
    "observation_generation_job_events_event_check": (
        _Wrong("observation_generation_job_events", "true", "event = 'forgotten'"),
    ),
    "server_sessions_generation_status_check": (_Wrong("server_sessions", "true", "generation_status = 'busy'"),),
    "team_members_role_check": (_Wrong("team_members", "true", "role = 'guest'"),),
    "api_keys_key_hash_check": (_Wrong("api_keys", "true", "key_hash = 'short'"),),
    "token_usage_input_tokens_check": (_Wrong("token_usage", "true", "input_tokens = -1"),),
    "token_usage_output_tokens_check": (_Wrong("token_usage", "true", "output_tokens = -1"),),
    "changes_kind_check": (_Wrong("changes", "true", "kind = 'job.forgotten'"),),
}


async def test_every_check_refuses_what_contradicts_it(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    checks = await connection.fetch(
        "SELECT conname::text AS name FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace"
    )
    assert {row["name"] for row in checks} == set(_VIOLATIONS)
    for name, wrongs in _VIOLATIONS.items():
        for wrong in wrongs:
            with pytest.raises(asyncpg.CheckViolationError) as refused:
                await connection.execute(
                    f"UPDATE {wrong.table} SET {wrong.change} WHERE team_id = $1 AND {wrong.where}", _OURS.team_id
                )
            assert refused.value.constraint_name == name, wrong


@pytest.mark.parametrize("status", _STATUSES)
async def test_a_job_has_one_terminal_time_in_a_terminal_state_and_none_otherwise(
    connection: asyncpg.Connection[asyncpg.Record], status: str
) -> None:
    rows = await connection.fetch(f"SELECT * FROM {_JOBS} WHERE status = $1", status)
    assert rows
    for row in rows:
        times = [time for time in _TIMES if row[time] is not None]
        assert times == ([f"{status}_at"] if f"{status}_at" in _TIMES else [])


async def test_the_same_source_is_linked_once(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    fix, prompt = _OURS.id("fix", "project"), _OURS.id("prompt", "project")
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(
            f"INSERT INTO {_SOURCES} (observation_id, project_id, team_id, source_type, source_id, agent_event_id) "
            "VALUES ($1, $2, $3, 'agent_event', $4, $4)",
            fix,
            _OURS.project_id,
            _OURS.team_id,
            prompt,
        )


@pytest.mark.parametrize("same", ["idempotency_key", "generation_key"])
async def test_two_tenants_and_two_projects_may_use_the_same_keys(
    connection: asyncpg.Connection[asyncpg.Record], same: str
) -> None:
    table = {"idempotency_key": "agent_events", "generation_key": "observations"}[same]
    rows = await connection.fetch(f"SELECT {same}, count(*) AS rows FROM {table} WHERE {same} IS NOT NULL GROUP BY 1")
    assert rows
    assert {row["rows"] for row in rows} == {4}


async def test_a_deleted_event_takes_its_jobs_and_links_but_not_what_was_learned(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    await connection.execute("DELETE FROM agent_events WHERE team_id = $1", _OURS.team_id)
    left = await connection.fetch(f"SELECT source_type FROM {_SOURCES} WHERE team_id = $1", _OURS.team_id)
    assert sorted(row["source_type"] for row in left) == sorted(["event_batch", "session_summary", "manual"] * 2)
    jobs = await connection.fetch(f"SELECT source_type FROM {_JOBS} WHERE team_id = $1", _OURS.team_id)
    assert {row["source_type"] for row in jobs} == {"session_summary", "observation_reindex"}
    assert await connection.fetchval("SELECT count(*) FROM observations WHERE team_id = $1", _OURS.team_id) == 4


async def test_what_was_spent_stays_spent_when_its_job_is_gone(
    connection: asyncpg.Connection[asyncpg.Record],
) -> None:
    before = await connection.fetchval("SELECT sum(input_tokens) FROM token_usage")
    await connection.execute(f"DELETE FROM {_JOBS} WHERE completed_at <= $1", NOON)
    assert await connection.fetchval("SELECT sum(input_tokens) FROM token_usage WHERE job_id IS NULL") == before
