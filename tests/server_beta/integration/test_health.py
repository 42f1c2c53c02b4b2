"""Health's figures: counted since midnight, without reading every event and job that ever was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from server_beta.domain.ids import first_id_at, new_id
from server_beta.storage import health
from server_beta.storage.database import Database
from server_beta.storage.statements import statement
from tests.support.counting import run_sql
from tests.support.tenants import Tenant


async def test_events_and_tokens_are_counted_from_the_instant_on(store: Database, tenant: Tenant) -> None:
    now = datetime.now(UTC)
    yesterday = first_id_at(now - timedelta(days=1))
    for event_id in (yesterday, new_id(), new_id()):
        await run_sql(
            store,
            "INSERT INTO agent_events (id, project_id, team_id, source_type, source_adapter, event_type, "
            "platform_source, payload, idempotency_key, occurred_at, received_at) "
            "VALUES ($1, $2, $3, 'api', 'api', 'note', 'api', '{}', $1::uuid::text, now(), now())",
            event_id,
            tenant.project.id,
            tenant.principal.team_id,
        )
    for age, tokens in ((timedelta(days=1), 1000), (timedelta(), 30)):
        await run_sql(
            store,
            "INSERT INTO token_usage (id, project_id, team_id, provider, model, lane, input_tokens, output_tokens, "
            "created_at) VALUES ($1, $2, $3, 'p', 'm', 'event', $4, 12, $5)",
            new_id(),
            tenant.project.id,
            tenant.principal.team_id,
            tokens,
            now - age,
        )
    async with store.connection() as connection:
        assert await health.since(connection, now - timedelta(hours=1)) == (2, 42)


async def test_the_open_jobs_are_found_by_their_index(store: Database) -> None:
    async with store.transaction() as connection:
        await connection._connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection._connection.fetch("EXPLAIN " + statement("jobs/counts"))
    assert "jobs_open" in str(plan)
