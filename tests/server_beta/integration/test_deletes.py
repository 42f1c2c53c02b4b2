"""Deleting a session, a project and a team: nothing of it stays behind, and nothing else goes with it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from server_beta.domain.audit import SystemActor
from server_beta.domain.errors import Forbidden, NotFound, Unavailable
from server_beta.domain.ids import EventId, JobId, ProjectId, SessionId, TeamId, new_id
from server_beta.domain.principals import Principal, Scope
from server_beta.domain.records import NewEvent
from server_beta.services import purge
from server_beta.services.delete_tenant import DeleteTenant
from server_beta.services.purge import Purge
from server_beta.storage import audit, events, jobs, sessions, tenants
from server_beta.storage.database import Database
from tests.support.counting import count, run_sql
from tests.support.population import Population, populate, snapshot
from tests.support.tenants import Tenant
from tests.support.transports import HeldTransport
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
            SystemActor(_TEAM, None, "ada"),
            _PROJECT,
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


_NOTE_STEPS = (
    "CREATE TABLE steps (rows bigint)",
    """
    CREATE FUNCTION note_step() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO steps SELECT count(*) FROM gone;
        RETURN NULL;
    END
    $$
    """,
    "CREATE TRIGGER note_steps AFTER DELETE ON agent_events REFERENCING OLD TABLE AS gone"
    " FOR EACH STATEMENT EXECUTE FUNCTION note_step()",
)


def _admin(team_id: TeamId, project_id: ProjectId | None = None) -> Principal:
    return Principal(team_id, project_id, None, frozenset({Scope.ADMIN}))


def _deleting(store: Database) -> DeleteTenant:
    return DeleteTenant(store, Purge(store, HeldTransport()))


async def test_a_project_that_remembers_much_goes_in_steps(
    store: Database, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement deletes more than a step: one that took everything along would be cut short by its time limit."""
    monkeypatch.setattr(purge, "_MOST_AT_ONCE", 10)
    for sql in _NOTE_STEPS:
        await run_sql(store, sql)
    team_id, project_id = tenant.principal.team_id, tenant.project.id
    now = datetime.now(UTC)
    delivery = events.Delivery(team_id, None, "ada", "event.recorded", None, now, new_id())
    new = NewEvent(project_id, "note", now, {}, session_id=tenant.session_id)
    writes = [events.Write(EventId(new_id()), new, f"{at}", JobId(new_id()), "event", delivery) for at in range(95)]
    async with store.connection() as connection:
        await events.ingest(connection, writes)
    await _deleting(store).project(_admin(team_id), project_id, "request-1")
    assert await count(store, "projects", f"id = '{project_id}'") == 0
    assert await run_sql(store, "SELECT sum(rows) AS all, max(rows) AS most FROM steps") == [{"all": 95, "most": 10}]
    (deleted,) = await run_sql(store, "SELECT project_id, request_id FROM audit_log WHERE action = 'project.deleted'")
    assert deleted == {"project_id": None, "request_id": "request-1"}
    with pytest.raises(NotFound):
        await _deleting(store).project(_admin(team_id), project_id, None)


async def test_only_an_administrator_of_the_whole_team_deletes_it(store: Database, tenant: Tenant) -> None:
    for caller in (tenant.principal, _admin(tenant.principal.team_id, tenant.project.id)):
        with pytest.raises(Forbidden):
            await _deleting(store).team(caller, None)
    with pytest.raises(Forbidden):
        await _deleting(store).project(tenant.principal, tenant.project.id, None)
    assert await count(store, "projects") == 1


async def test_a_deleted_team_leaves_nothing(store: Database, connection: asyncpg.Connection[asyncpg.Record]) -> None:
    before = await snapshot(connection)
    async with store.transaction() as transaction:
        # Its projects would have to be taken after the team, while their writers take them before.
        assert not await tenants.delete_team(transaction, _TEAM)
    assert await snapshot(connection) == before
    await _deleting(store).team(_admin(_TEAM), None)
    with pytest.raises(NotFound):
        await _deleting(store).team(_admin(_TEAM), None)
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
