"""A purge: all that a project remembers is gone, whoever was writing or generating at the time; the rest stays."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from server_beta.domain.errors import Forbidden
from server_beta.domain.ids import JobId, ProjectId, new_id
from server_beta.domain.jobs import Message, SourceType
from server_beta.domain.observations import Draft
from server_beta.domain.principals import Principal, Scope
from server_beta.domain.purge import Purged
from server_beta.domain.records import NewEvent
from server_beta.services import purge as purge_service
from server_beta.services.purge import Purge
from server_beta.storage import observations
from server_beta.storage.database import Database
from server_beta.transport.bullmq import BullmqTransport
from tests.support.api import REQUEST_ID, Api, serving
from tests.support.chain import Chain, titled
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.server import turn
from tests.support.tenants import Tenant, make_tenant
from tests.support.transports import HeldTransport
from tests.support.waiting import eventually

MEMORY = (
    "agent_events",
    "observation_generation_jobs",
    "observation_generation_job_events",
    "observations",
    "observation_sources",
    "server_sessions",
)


@pytest.fixture
async def api(database: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(database, tmp_path) as served:
        yield served


def _admin(tenant: Tenant) -> Principal:
    return Principal(tenant.principal.team_id, None, None, frozenset({Scope.ADMIN}))


async def _purge(store: Database, tenant: Tenant) -> Purged:
    return await Purge(store, HeldTransport()).run(_admin(tenant), tenant.project.id, "request-1")


async def _left(store: Database, project_id: object) -> dict[str, int]:
    return {table: rows for table in MEMORY if (rows := await count(store, table, f"project_id = '{project_id}'"))}


async def _fill(store: Database, tenant: Tenant, events: int) -> None:
    """Give a project events of a session and of none, each with a job that is done and an observation."""
    await run_sql(
        store,
        """
        WITH event AS (
            INSERT INTO agent_events (
                id, project_id, team_id, server_session_id, source_type, source_adapter, event_type, platform_source,
                payload, idempotency_key, occurred_at, received_at
            )
            SELECT gen_random_uuid(), $1, $2, CASE WHEN n % 2 = 0 THEN $3::uuid END, 'api', 'api', 'note', 'api',
                jsonb_build_object('text', repeat('x', 500)), concat($1::uuid, n), now(), now()
            FROM generate_series(1, $4::integer) AS n
            RETURNING id, server_session_id
        ),
        job AS (
            INSERT INTO observation_generation_jobs (
                id, project_id, team_id, source_type, source_id, agent_event_id, server_session_id, status, completed_at
            )
            SELECT gen_random_uuid(), $1, $2, 'agent_event', id, id, server_session_id, 'completed', now() FROM event
            RETURNING id, source_id, server_session_id
        ),
        history AS (
            INSERT INTO observation_generation_job_events (job_id, project_id, team_id, event, attempt)
            SELECT id, $1, $2, event, 1 FROM job CROSS JOIN unnest(ARRAY['queued', 'processing', 'completed']) AS event
        ),
        observation AS (
            INSERT INTO observations (id, project_id, team_id, server_session_id, kind, title, content)
            SELECT id, $1, $2, server_session_id, 'change', 'Something changed', 'Something changed' FROM job
            RETURNING id
        )
        INSERT INTO observation_sources (
            observation_id, project_id, team_id, source_type, source_id, agent_event_id, job_id
        )
        SELECT id, $1, $2, 'agent_event', source_id, source_id, id FROM job
        """,
        tenant.project.id,
        tenant.principal.team_id,
        tenant.session_id,
        events,
    )


async def test_everything_that_a_project_remembers_goes_and_nothing_else(api: Api) -> None:
    tenant, other = await make_tenant(api.store), await make_tenant(api.store, "other")
    admin, admin_id = await api.key_and_id(tenant, "admin")
    sibling = (await api.ask(admin, "POST", "/v1/projects", {"key": "git:sibling"})).body["project"]["id"]
    of_project = await api.key(tenant, project_id=tenant.project.id)
    for who, project in (
        (admin, str(tenant.project.id)),
        (admin, sibling),
        (await api.key(other), str(other.project.id)),
    ):
        await api.ask(who, "POST", "/v1/memories", {"projectId": project, "content": "Prices are in cents."})
        started = await api.ask(who, "POST", "/v1/sessions/start", {"projectId": project, "externalSessionId": "s"})
        session = started.body["session"]["id"]
        for number in range(3):
            event = {"projectId": project, "sourceType": "api", "eventType": "note", "occurredAtEpoch": number}
            named = {"serverSessionId": session} if number else {}
            assert (await api.ask(who, "POST", "/v1/events", {**event, **named})).status == 201
        assert (await api.ask(who, "POST", f"/v1/sessions/{session}/end", {})).status == 200
    await run_sql(
        api.store,
        "INSERT INTO token_usage (id, project_id, team_id, job_id, provider, model, lane, input_tokens, output_tokens)"
        " SELECT gen_random_uuid(), project_id, team_id, id, 'p', 'm', 'event', 5, 7 FROM observation_generation_jobs",
    )
    spent = await count(api.store, "token_usage")
    before = {project: await _left(api.store, project) for project in (sibling, other.project.id)}

    purged = await api.ask(admin, "DELETE", f"/v1/projects/{tenant.project.id}/memory")

    assert purged.status == 200
    # The session that make_tenant makes counts, too; the jobs are one for each event and one for the session's summary.
    assert purged.body == {
        "projectId": str(tenant.project.id),
        "deleted": {"observations": 1, "events": 3, "jobs": 4, "sessions": 2},
    }
    assert await _left(api.store, tenant.project.id) == {}
    assert {project: await _left(api.store, project) for project in (sibling, other.project.id)} == before
    assert await count(api.store, "token_usage") == spent
    assert (await api.ask(of_project, "GET", f"/v1/projects/{tenant.project.id}")).status == 200
    begun, done = [row for row in await api.audited(tenant.project.id) if row["action"].startswith("project.purge")]
    assert (begun["action"], done["action"]) == ("project.purge_started", "project.purged")
    assert done["details"] == purged.body["deleted"]
    assert (done["request_id"], done["api_key_id"]) == (REQUEST_ID, admin_id)
    again = await api.ask(admin, "DELETE", f"/v1/projects/{tenant.project.id}/memory")
    assert set(again.body["deleted"].values()) == {0}


async def test_only_an_admin_of_the_project_may_purge_it(api: Api) -> None:
    tenant, other = await make_tenant(api.store), await make_tenant(api.store, "other")
    await _fill(api.store, tenant, 3)
    before = await _left(api.store, tenant.project.id)
    path = f"/v1/projects/{tenant.project.id}/memory"
    sibling = (await api.ask(await api.key(tenant), "POST", "/v1/projects", {"key": "git:s"})).body["project"]["id"]
    for key, status in (
        (await api.key(tenant), 403),
        (await api.key(other, "admin"), 404),
        (await api.key(tenant, "admin", project_id=ProjectId(uuid.UUID(sibling))), 404),
    ):
        assert (await api.ask(key, "DELETE", path)).status == status
    with pytest.raises(Forbidden):
        await Purge(api.store, api.transport).run(tenant.principal, tenant.project.id, None)
    admin = await api.key(tenant, "admin")
    assert (await api.ask(admin, "DELETE", f"/v1/projects/{new_id()}/memory")).status == 404
    assert await _left(api.store, tenant.project.id) == before
    assert await count(api.store, "audit_log", "action LIKE 'project.purge%'") == 0
    own = await api.key(tenant, "admin", project_id=tenant.project.id)
    assert (await api.ask(own, "DELETE", path)).status == 200


async def test_counts_that_cannot_be_audited_are_not_deleted(store: Database, tenant: Tenant) -> None:
    await _fill(store, tenant, 3)
    before = await _left(store, tenant.project.id)
    await run_sql(store, "ALTER TABLE audit_log ADD CONSTRAINT broken CHECK (false) NOT VALID")
    with pytest.raises(Exception, match="broken"):
        await _purge(store, tenant)
    assert await _left(store, tenant.project.id) == before


class _Halting(HeldTransport):
    """Comes to a halt when a purge has deleted events and their jobs, until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def remove(self, messages: Sequence[Message]) -> None:
        self.reached.set()
        await self.may_go_on.wait()
        await super().remove(messages)


async def test_the_last_step_and_its_audit_row_are_one(chain: Chain) -> None:
    store, tenant = chain.store, chain.tenant
    await run_sql(store, "ALTER TABLE audit_log ADD CONSTRAINT broken CHECK (action <> 'project.purged') NOT VALID")
    purging = await _purge_while_writing(chain)
    with pytest.raises(Exception, match="broken"):
        await purging
    assert await _left(store, tenant.project.id) == {"observations": 1}
    await run_sql(store, "ALTER TABLE audit_log DROP CONSTRAINT broken")
    assert (await _purge(store, tenant)).observations == 1


async def test_what_is_being_written_at_the_end_is_waited_for(chain: Chain) -> None:
    purging = await _purge_while_writing(chain)
    assert (await purging).observations == 1
    assert await _left(chain.store, chain.tenant.project.id) == {}


async def _purge_while_writing(chain: Chain) -> asyncio.Task[Purged]:
    """Store an observation when a purge has been through the observations, and commit when it waits for that."""
    store, tenant, transport = chain.store, chain.tenant, _Halting()
    await chain.put(0, "note", "event")
    purging = asyncio.create_task(Purge(store, transport).run(_admin(tenant), tenant.project.id, None))
    await transport.reached.wait()

    async def is_blocked() -> bool:
        return bool(await run_sql(store, "SELECT FROM pg_locks WHERE NOT granted")) or purging.done()

    async with store.transaction() as connection:
        draft = Draft("change", "Written in the last moment")
        await observations.insert(connection, tenant.principal.team_id, tenant.project.id, None, draft)
        transport.may_go_on.set()
        await eventually(is_blocked)
    return purging


async def test_whoever_is_generating_writes_nothing_afterwards(chain: Chain) -> None:
    batch = await chain.turn("UserPromptSubmit", "Stop")
    slow = ScriptedProvider(titled("late"))
    slow.may_go_on.clear()
    working = asyncio.create_task(chain.generate(slow).run(batch))
    await slow.entered.wait()
    purged = await _purge(chain.store, chain.tenant)
    assert (purged.events, purged.jobs, purged.sessions) == (2, 1, 1)
    slow.may_go_on.set()
    await working
    assert await _left(chain.store, chain.tenant.project.id) == {}


async def test_whoever_stores_at_that_moment_comes_before_or_not_at_all(chain: Chain) -> None:
    """Generation that ends all the time while a purge runs: what it stores is counted, or refused."""
    for number in range(12):
        await chain.put(number, "Stop", "close", f"turn-{number}")
    batches = [message for message in await chain.all_waiting() if message.lane is SourceType.EVENT_BATCH.lane]
    generate = chain.generate(ScriptedProvider(titled("one", "two")))
    purging = asyncio.create_task(_purge(chain.store, chain.tenant))
    await asyncio.gather(*(generate.run(batch) for batch in batches))
    purged = await purging
    assert purged.events == 12
    assert await _left(chain.store, chain.tenant.project.id) == {}


async def test_a_message_whose_job_is_gone_is_dropped(database: str, tmp_path: Path) -> None:
    async with serving(database, tmp_path, generates=True) as api:
        tenant = await make_tenant(api.store)
        lane = SourceType.AGENT_EVENT.lane
        gone = [Message(JobId(new_id()), tenant.principal.team_id, tenant.project.id, lane, 0) for _ in range(50)]
        await api.transport.publish(gone)

        async def is_empty() -> bool:
            counts = {counted.lane: counted for counted in await api.transport.counts()}[lane]
            return not counts.unavailable and counts.waiting + counts.active + counts.failed + counts.delayed == 0

        await eventually(is_empty, within=15)
        assert await _left(api.store, tenant.project.id) == {"server_sessions": 1}


async def test_the_queue_forgets_the_jobs_of_a_purged_project(database: str, tmp_path: Path) -> None:
    transport = BullmqTransport.on_postgres(database, "claude_mem")
    async with serving(database, tmp_path, transport=transport) as api:
        tenant, other = await make_tenant(api.store), await make_tenant(api.store, "other")
        for one, number in ((tenant, 40), (other, 2)):
            key = await api.key(one)
            batch = [
                {"projectId": str(one.project.id), "sourceType": "api", "eventType": "note", "occurredAtEpoch": at}
                for at in range(number)
            ]
            assert (await api.ask(key, "POST", "/v1/events/batch", batch)).status == 201
            session = await api.ask(key, "POST", f"/v1/sessions/{one.session_id}/end", {})
            assert session.status == 200
        # A job that was cancelled is still with the queue, which nobody consumes here.
        (row,) = await run_sql(
            api.store, "SELECT id FROM observation_generation_jobs WHERE team_id = $1 LIMIT 1", tenant.principal.team_id
        )
        assert (await api.ask(await api.key(tenant), "POST", f"/v1/jobs/{row['id']}/cancel")).status == 200

        async def waiting() -> int:
            lanes = (await api.ask("", "GET", "/v1/info")).body["queueLanes"]
            return sum(lane["waiting"] for lane in lanes)

        async def are_published() -> bool:
            return await waiting() == 42

        await eventually(are_published)
        purged = await api.ask(await api.key(tenant, "admin"), "DELETE", f"/v1/projects/{tenant.project.id}/memory")
        assert purged.body["deleted"]["jobs"] == 40
        assert await waiting() == 2


async def test_a_queue_that_is_away_does_not_keep_a_purge_from_ending(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_service, "_MOST_AT_ONCE", 1)
    for number in range(3):
        await chain.put(number, "note", "event", "turn-1")
    await chain.relay.publish_offered()
    assert len(chain.transport.published) == 3
    chain.transport.is_away = True
    with structlog.testing.capture_logs() as logs:
        purged = await Purge(chain.store, chain.transport).run(_admin(chain.tenant), chain.tenant.project.id, None)
    assert (purged.events, purged.jobs) == (3, 3)
    assert await _left(chain.store, chain.tenant.project.id) == {}
    assert [entry["action"] for entry in logs].count("purge_queue_unavailable") == 1


async def test_a_running_session_goes_on_after_a_purge(database: str, tmp_path: Path) -> None:
    async with serving(database, tmp_path, generates=True) as api:
        tenant = await make_tenant(api.store)
        key, admin = await api.key(tenant), await api.key(tenant, "admin")

        async def send(prompt: str) -> None:
            for name, body in turn(prompt=prompt):
                assert (await api.ask(key, "POST", f"/v1/hooks/claude-code/{name}", body)).status == 201

        async def summaries() -> list[Any]:
            return list((await api.ask(key, "GET", "/v1/observations?kind=summary")).body["observations"])

        await send("p-1")
        assert await eventually(summaries, within=15)
        projects = (await api.ask(key, "GET", "/v1/projects?name=shop")).body["projects"]
        project = next(one["id"] for one in projects if one["id"] != str(tenant.project.id))
        assert (await api.ask(admin, "DELETE", f"/v1/projects/{project}/memory")).body["deleted"]["events"] == 3
        await send("p-2")
        assert await eventually(summaries, within=15)
        assert await count(api.store, "agent_events", f"project_id = '{project}'") == 3


async def test_a_private_turn_stays_private_across_a_purge(api: Api) -> None:
    tenant = await make_tenant(api.store)
    key, admin = await api.key(tenant), await api.key(tenant, "admin")
    (_, prompt), (_, edit), _ = turn()
    hidden = {**prompt, "prompt": "<private>canary</private>"}
    assert (await api.ask(key, "POST", "/v1/hooks/claude-code/UserPromptSubmit", hidden)).status == 201
    (row,) = await run_sql(api.store, "SELECT project_id FROM agent_events")
    assert (await api.ask(admin, "DELETE", f"/v1/projects/{row['project_id']}/memory")).status == 200
    assert (await api.ask(key, "POST", "/v1/hooks/claude-code/PostToolUse", edit)).status == 201
    assert await count(api.store, "agent_events", "payload::text LIKE '%cart.py%'") == 0


async def test_others_record_events_while_much_is_purged(chain: Chain) -> None:
    """Their events share statements with those of the project that is purged, and must not wait for its purge."""
    other = await make_tenant(chain.store, "other")
    await _fill(chain.store, chain.tenant, 20_000)
    # A store that has been running for a minute has these statistics.
    await run_sql(chain.store, "ANALYZE")
    started = time.monotonic()
    purging = asyncio.create_task(_purge(chain.store, chain.tenant))
    waits: list[float] = []
    number = 0
    while not purging.done():
        number += 1
        began = time.monotonic()
        await asyncio.gather(
            chain.ingest.store(other.principal, [(other.event(number), "none")], request_id=None),
            # The purged project's own client goes on, too: sessionless, because its session goes.
            chain.ingest.store(chain.tenant.principal, [(_sessionless(chain.tenant, number), "none")], request_id=None),
        )
        waits.append(time.monotonic() - began)
    purged = await purging
    whole = time.monotonic() - started
    assert purged.observations == 20_000
    assert purged.events >= 20_000
    assert len(waits) > 20
    # Of a purge that held them off, somebody would wait for nearly all.
    assert max(waits) < whole / 2, (whole, sorted(waits)[-5:])


def _sessionless(tenant: Tenant, number: int) -> NewEvent:
    return replace(tenant.event(number), session_id=None, turn_key=None)
