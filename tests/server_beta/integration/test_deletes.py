"""Deleting a session, a project and a team: nothing of it stays behind, and nothing else goes with it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from server_beta.domain.errors import NotFound, Unavailable
from server_beta.domain.ids import EventId, JobId, ProjectId, SessionId, TeamId, new_id
from server_beta.domain.records import NewEvent
from server_beta.storage import audit, events, jobs, sessions, tenants
from server_beta.storage.database import Database
from tests.support.counting import count
from tests.support.population import Population, populate, snapshot
from tests.support.tenants import Tenant
from tests.support.waiting import eventually

_OURS, _THEIRS = Population("ours"), Population("theirs")
_TEAM, _PROJECT = TeamId(_OURS.team_id), ProjectId(_OURS.project_id)

_SECOND = timedelta(seconds=1)

Rows = dict[str, list[str]]


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    opened = await asyncpg.connect(database)
    for population in (_OURS, _THEIRS):
        await populate(opened, population)
    yield opened
    await opened.close()


def _naming(rows: Rows, *ids: object) -> set[str]:
    """Return the tables with a row that names one of these, in whichever column."""
    return {table for table, found in rows.items() if any(str(one) in row for row in found for one in ids)}


def _without(rows: Rows, *ids: object) -> Rows:
    return {table: [row for row in found if not any(str(one) in row for one in ids)] for table, found in rows.items()}


async def test_a_deleted_session_leaves_nothing_but_its_log_of_changes(
    store: Database, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    before = await snapshot(connection)
    session_id = SessionId(_OURS.id("session", "project"))
    inside = ("prompt", "stop", "fix", "turn", "queued", "processing", "completed")
    outside = ("loose", "lost", "note", "failed", "cancelled", "waiting", "usage", "unmade")
    async with store.transaction() as transaction:
        assert await sessions.delete(transaction, _TEAM, _PROJECT, session_id)
        assert not await sessions.delete(transaction, _TEAM, _PROJECT, session_id)
    after = await snapshot(connection)
    assert _naming(after, session_id, *(_OURS.id(of, "project") for of in inside)) <= {"changes"}
    for of in outside:
        assert _naming(after, _OURS.id(of, "project")), of
    elsewhere = (_OURS.sibling_id, _THEIRS.team_id)
    for table, rows in before.items():
        kept = [row for row in rows if any(str(one) in row for one in elsewhere)]
        assert [row for row in after[table] if any(str(one) in row for one in elsewhere)] == kept
    assert len(after["token_usage"]) == len(before["token_usage"])


async def test_a_deleted_project_leaves_its_teams_audit_log_alone(
    store: Database, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    before = await snapshot(connection)
    async with store.transaction() as transaction:
        await audit.record(
            transaction,
            _TEAM,
            _PROJECT,
            actor="ada",
            action="project.deleted",
            resource_type="project",
            resource_id=_PROJECT,
            request_id=None,
        )
        assert await tenants.delete_project(transaction, _TEAM, _PROJECT)
        assert not await tenants.delete_project(transaction, _TEAM, _PROJECT)
    after = await snapshot(connection)
    assert _naming(after, _PROJECT) == {"audit_log"}
    log = await connection.fetch(
        "SELECT project_id, action FROM audit_log WHERE resource_id = $1 ORDER BY action", str(_PROJECT)
    )
    assert [tuple(row) for row in log] == [(None, "looked"), (None, "project.deleted")]
    del before["audit_log"], after["audit_log"]
    assert after == _without(before, _PROJECT)


async def test_a_deleted_team_leaves_nothing(store: Database, connection: asyncpg.Connection[asyncpg.Record]) -> None:
    before = await snapshot(connection)
    async with store.transaction() as transaction:
        assert await tenants.delete_team(transaction, _TEAM)
        assert not await tenants.delete_team(transaction, _TEAM)
    after = await snapshot(connection)
    assert after == _without(before, _TEAM)
    assert _naming(after, _TEAM) == set()
    own_ids = {str(row["id"]) for _, row in _OURS.rows() if "id" in row}
    assert not any(one in row for rows in after.values() for row in rows for one in own_ids)


async def test_a_project_can_be_deleted_while_it_is_written_to_and_worked_on(store: Database, tenant: Tenant) -> None:
    team_id, project_id = tenant.principal.team_id, tenant.project.id
    numbers = itertools.count()

    async def write() -> None:
        now = datetime.now(UTC)
        while True:
            delivery = events.Delivery(team_id, None, "ada", "event.recorded", None, now, new_id())
            new = NewEvent(project_id, "note", now, {}, session_id=tenant.session_id)
            key = f"event-{next(numbers)}"
            write = events.Write(EventId(new_id()), new, key, JobId(new_id()), "event", delivery)
            async with store.connection() as connection:
                await events.ingest(connection, [write])

    async def publish() -> None:
        while True:
            async with store.connection() as connection:
                due = await jobs.unpublished(connection, -_SECOND, _SECOND, 100)
                await jobs.mark_enqueued(connection, due)

    at_work = [asyncio.create_task(work()) for work in (write, write, write, publish)]

    async def is_busy() -> bool:
        return await count(store, "observation_generation_job_events", "event = 'enqueued'") >= 50

    await eventually(is_busy, within=30)
    async with store.transaction() as connection:
        assert await tenants.delete_project(connection, team_id, project_id)
    ended = await asyncio.wait_for(asyncio.gather(*at_work[:3], return_exceptions=True), 10)
    at_work[3].cancel()
    await asyncio.gather(at_work[3], return_exceptions=True)
    assert {type(error) for error in ended} <= {NotFound, Unavailable}
    for table in (
        "agent_events",
        "observation_generation_jobs",
        "observation_generation_job_events",
        "server_sessions",
    ):
        assert await count(store, table) == 0
