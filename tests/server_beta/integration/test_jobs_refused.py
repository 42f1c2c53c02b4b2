"""What a consumer refuses: a message that does not fit its job, a revoked key; and what is deleted under its hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
import structlog

from server_beta.domain.ids import ApiKeyId, JobId, ProjectId, TeamId, new_id
from server_beta.domain.jobs import Lane, Message, SourceType
from server_beta.domain.ports import Outcome, Retryable
from tests.server_beta.integration.jobs_over_http import Api, serving
from tests.support.chain import Chain, titled
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.tenants import make_tenant
from tests.support.waiting import eventually


@pytest.fixture
async def api(chain: Chain, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(chain, tmp_path) as api:
        yield api


async def _asked_by(api: Api, key_id: ApiKeyId | None) -> Message:
    """Store a job as the key asks for it."""
    tenant = api.chain.tenant
    asker = replace(tenant.principal, key_id=key_id)
    (ingested,) = await api.chain.ingest.record(
        asker, [tenant.event(1, turn=None)], generate=True, request_id="request-1"
    )
    assert ingested.job is not None
    return Message(ingested.job.id, ingested.job.team_id, ingested.job.project_id, Lane.EVENT, 0, "request-1")


async def test_a_message_for_another_tenant_is_refused_and_noted_where_the_job_is(api: Api) -> None:
    other = await make_tenant(api.chain.store, "other")
    job = await api.job()
    foreign = (
        replace(job, team_id=other.principal.team_id, project_id=other.project.id),
        replace(job, team_id=TeamId(new_id())),
        replace(job, project_id=ProjectId(new_id())),
        replace(job, lane=Lane.SUMMARY),
    )
    provider = ScriptedProvider(titled("right"))
    with structlog.testing.capture_logs() as logs:
        for message in foreign:
            await api.chain.generate(provider).run(message)
    assert provider.asked == []
    assert await api.chain.history(job) == ["queued"]
    assert [entry["action"] for entry in logs] == ["job_refused"] * len(foreign)
    noted = await api.audited(job.job_id)
    assert [(row["action"], row["project_id"]) for row in noted] == [("job.refused", job.project_id)] * len(foreign)
    assert await count(api.chain.store, "audit_log", f"team_id = '{other.principal.team_id}'") == 0
    await api.chain.generate(provider).run(job)
    assert await api.chain.titles() == ["right"]


async def test_a_message_about_a_job_that_is_over_or_gone_is_nothing_to_note(api: Api) -> None:
    job = await api.job()
    await api.chain.generate(ScriptedProvider()).run(job)
    with structlog.testing.capture_logs() as logs:
        await api.chain.generate(ScriptedProvider()).run(job)
        await api.chain.generate(ScriptedProvider()).run(replace(job, job_id=JobId(new_id())))
    assert logs == []
    assert [row["action"] for row in await api.audited(job.job_id)] == ["observation.generated"]


async def test_the_job_of_a_revoked_key_is_refused_for_good(api: Api) -> None:
    _, key_id = await api.new_key("events:write")
    job = await _asked_by(api, key_id)
    await run_sql(api.chain.store, "UPDATE api_keys SET revoked_at = now() WHERE id = $1", key_id)
    provider = ScriptedProvider()
    generate = api.chain.generate(provider)
    await generate.run(job)
    assert provider.asked == []
    assert generate.ledger.consecutive_failures == 0
    assert await api.chain.history(job) == ["queued", "processing", "failed"]
    told = (await api.get(f"/v1/jobs/{job.job_id}"))["generationJob"]
    assert (told["status"], told["lastError"]) == (
        "failed",
        "refused: the API key that asked for this job has been revoked",
    )
    assert await api.audited(job.job_id) == [
        {
            "action": "job.refused",
            "actor": "system:consumer",
            "api_key_id": key_id,
            "request_id": "request-1",
            "project_id": job.project_id,
            "details": {"reason": "the API key has been revoked"},
        }
    ]


async def test_who_waits_for_a_refused_job_is_told(api: Api) -> None:
    _, key_id = await api.new_key("events:write")
    job = await _asked_by(api, key_id)
    await run_sql(api.chain.store, "UPDATE api_keys SET revoked_at = now() WHERE id = $1", key_id)
    generate = api.chain.generate(ScriptedProvider())
    waiting = asyncio.create_task(generate.signals.wait(job.job_id, timedelta(seconds=60)))
    await eventually(lambda: job.job_id in generate.signals._waiters)
    await generate.run(job)
    async with asyncio.timeout(5):
        await waiting


@pytest.mark.parametrize("state", ["valid", "expired", "deleted", "none", "another team's revoked"])
async def test_any_other_job_goes_on(api: Api, state: str) -> None:
    _, key_id = await api.new_key("events:write")
    job = await _asked_by(api, None if state == "none" else key_id)
    match state:
        case "expired":
            await run_sql(
                api.chain.store, "UPDATE api_keys SET expires_at = now() - interval '1 hour' WHERE id = $1", key_id
            )
        case "deleted":
            await run_sql(api.chain.store, "DELETE FROM api_keys WHERE id = $1", key_id)
        case "another team's revoked":
            other = await make_tenant(api.chain.store, "other")
            _, theirs = await api.new_key("events:write", team_id=other.principal.team_id)
            await run_sql(api.chain.store, "UPDATE api_keys SET revoked_at = now() WHERE id = $1", theirs)
    await api.chain.generate(ScriptedProvider(titled("made"))).run(job)
    assert await api.chain.titles() == ["made"]


async def test_a_summary_is_refused_with_the_key_of_its_turn(api: Api) -> None:
    _, key_id = await api.new_key("events:write")
    tenant = api.chain.tenant
    asker = replace(tenant.principal, key_id=key_id)
    await api.chain.ingest.store(asker, [(tenant.event(1, name="Stop"), "close")], request_id="request-1")
    await api.chain.generate(ScriptedProvider()).run(await api.chain.waiting(SourceType.EVENT_BATCH))
    await run_sql(api.chain.store, "UPDATE api_keys SET revoked_at = now() WHERE id = $1", key_id)
    summary = await api.chain.waiting(SourceType.SESSION_SUMMARY)
    await api.chain.generate(ScriptedProvider()).run(summary)
    assert await api.chain.status(summary) == "failed"


async def test_what_was_generated_is_audited_with_its_job(api: Api) -> None:
    job = await _asked_by(api, None)
    await api.chain.generate(ScriptedProvider(titled("one", "two"))).run(job)
    (noted,) = await api.audited(job.job_id)
    assert (noted["action"], noted["actor"], noted["request_id"]) == (
        "observation.generated",
        "system:consumer",
        "request-1",
    )
    assert noted["details"] == {"observations": 2, "sourceType": "agent_event", "attempt": 1}
    silent = await api.job(2)
    await api.chain.generate(ScriptedProvider(titled())).run(silent)
    assert await api.chain.status(silent) == "completed"
    assert await api.audited(silent.job_id) == []


@pytest.mark.parametrize("answer", [titled("late"), Retryable("busy")], ids=["answers", "fails"])
@pytest.mark.parametrize(
    ("table", "when"),
    [
        ("agent_events", "before"),
        ("server_sessions", "before"),
        ("projects", "before"),
        ("teams", "before"),
        ("projects", "meanwhile"),
        ("teams", "meanwhile"),
    ],
)
async def test_what_is_deleted_while_it_is_worked_on_leaves_nothing_behind(
    api: Api, database: str, table: str, when: str, answer: Outcome
) -> None:
    job = await _asked_by(api, None)
    provider = ScriptedProvider(answer)
    provider.may_go_on.clear()
    working = asyncio.create_task(api.chain.generate(provider).run(job))
    await provider.entered.wait()
    connection = await asyncpg.connect(database)
    with structlog.testing.capture_logs() as logs:
        async with connection.transaction():
            if when == "meanwhile":
                # As a delete does: the row itself first, then what hangs on it.
                await connection.execute(f"SELECT FROM {table} FOR UPDATE")
                provider.may_go_on.set()
                await eventually(lambda: _waits_for_locks(api.chain))
            await connection.execute(f"DELETE FROM {table}")
        provider.may_go_on.set()
        await working
    await connection.close()
    for left in ("observations", "observation_sources", "observation_generation_jobs", "token_usage"):
        assert await count(api.chain.store, left) == 0, left
    assert [entry["log_level"] for entry in logs] == ["info"]


async def _waits_for_locks(chain: Chain) -> bool:
    waiting = await count(chain.store, "pg_stat_activity", "datname = current_database() AND wait_event_type = 'Lock'")
    return waiting == 1
