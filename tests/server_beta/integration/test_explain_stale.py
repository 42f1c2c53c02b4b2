"""Recording events stays fast when much waits that the planner's statistics know nothing of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from server_beta.domain.ids import EventId, JobId, new_id
from server_beta.storage import events
from server_beta.storage.database import Connection, Database
from server_beta.storage.events import Call, Delivery, Write
from server_beta.storage.statements import statement
from tests.support.counting import run_sql
from tests.support.tenants import BEGINNING, Tenant

_JOBS = "observation_generation_jobs"
_WAITING = 20_000


class Explained(Connection):
    """Runs a statement and returns its plan instead of its rows."""

    async def rows(self, name: str, *arguments: object) -> Sequence[Any]:
        plan = await self._connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) " + statement(name), *arguments)
        return list(_nodes(json.loads(plan)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


@pytest.fixture
async def backlog(store: Database, tenant: Tenant) -> Tenant:
    """Give a tenant with many turns that wait, in a store that was analysed when none did."""
    await run_sql(store, f"ALTER TABLE {_JOBS} SET (autovacuum_enabled = false)")
    for status, first, last in (("completed", 0, 3000), ("queued", 3001, 3000 + _WAITING)):
        await run_sql(
            store,
            f"""
            WITH event AS (
                INSERT INTO agent_events (
                    id, project_id, team_id, server_session_id, source_type, source_adapter, event_type,
                    platform_source, turn_key, payload, idempotency_key, occurred_at, received_at
                )
                SELECT gen_random_uuid(), $1, $2, $3, 'hook', 'claude-code', 'Stop', 'claude-code', 'old-' || n, '{{}}',
                    'old-' || n, now(), now()
                FROM generate_series($4::integer, $5::integer) AS n
                RETURNING id, turn_key
            )
            INSERT INTO {_JOBS} (
                id, project_id, team_id, source_type, source_id, server_session_id, turn_key, status, completed_at
            )
            SELECT id, $1, $2, 'event_batch', id, $3, turn_key, '{status}',
                CASE '{status}' WHEN 'completed' THEN now() END
            FROM event
            """,
            *(tenant.project.id, tenant.principal.team_id, tenant.session_id, first, last),
        )
        if status == "completed":
            await run_sql(store, "ANALYZE")
    return tenant


def _writes(tenant: Tenant, number: int, call: Call) -> list[Write]:
    delivery = Delivery(tenant.principal.team_id, None, "local", "event.received", None, BEGINNING, new_id())
    return [
        Write(EventId(new_id()), tenant.event(at, turn=f"turn-{at}"), f"key-{at}", JobId(new_id()), call, delivery)
        for at in range(number)
    ]


@pytest.mark.parametrize("number", [1, 500])
@pytest.mark.parametrize("call", ["close", "content", "end"])
async def test_an_event_looks_at_the_jobs_of_its_own_turn_alone(
    store: Database, backlog: Tenant, number: int, call: Call
) -> None:
    async with store.transaction() as connection:
        nodes = await events._ingest(Explained(connection._connection), _writes(backlog, number, call))
    looked = [node for node in nodes if node.get("Relation Name") == _JOBS and node["Node Type"] != "ModifyTable"]
    assert {node.get("Index Name") for node in looked} == {"jobs_session"}
    assert sum(node["Actual Loops"] for node in looked) >= number
    assert {node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in looked} == {0}
