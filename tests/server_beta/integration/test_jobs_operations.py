"""Retry and cancel: what they change, what they leave alone, and what a race of twenty of them leaves behind."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from server_beta.domain.ids import ProjectId, TeamId, new_id
from server_beta.domain.jobs import Message
from server_beta.domain.ports import Generated, Retryable, Unusable
from server_beta.domain.principals import Principal
from server_beta.domain.usage import Spent
from server_beta.storage import job_operations, jobs
from tests.server_beta.integration.jobs_over_http import Api, serving
from tests.support.chain import Chain, titled
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.server import Answer
from tests.support.tenants import BEGINNING
from tests.support.waiting import eventually

_LEASE = timedelta(seconds=60)


@pytest.fixture
async def api(chain: Chain, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(chain, tmp_path) as api:
        yield api


async def _retry(api: Api, job: Message) -> Answer:
    return await api.ask("POST", f"/v1/jobs/{job.job_id}/retry")


async def _cancel(api: Api, job: Message) -> Answer:
    return await api.ask("POST", f"/v1/jobs/{job.job_id}/cancel")


async def _failed(api: Api) -> Message:
    job = await api.job()
    await api.chain.relay.publish_offered()
    for _ in range(3):
        await run_sql(api.chain.store, "UPDATE observation_generation_jobs SET next_attempt_at = now()")
        await api.chain.generate(ScriptedProvider(Retryable("busy"))).run(job)
    assert await api.chain.status(job) == "failed"
    return job


async def test_a_failed_job_is_queued_again_with_one_more_attempt_and_keeps_its_history(api: Api) -> None:
    job = await _failed(api)
    api.chain.transport.published.clear()
    answer = await _retry(api, job)
    assert answer.status == 200
    told = answer.body["generationJob"]
    assert (told["status"], told["attempts"], told["maxAttempts"], told["lastError"]) == ("queued", 3, 4, None)
    assert (told["failedAtEpoch"], told["transport"]) == (None, "enqueued")
    assert (answer.body["retriedCount"], answer.body["alreadyQueued"], answer.body["requestId"]) == (
        1,
        False,
        "asked-1",
    )
    await api.chain.relay.publish_offered()
    (published,) = api.chain.transport.published
    assert published.attempt == 3
    assert published.transport_id not in {replace(job, attempt=spent).transport_id for spent in range(3)}
    await api.chain.generate(ScriptedProvider(titled("at last"))).run(published)
    assert await api.chain.titles() == ["at last"]
    tried = ["processing", "retry_scheduled"] * 2 + ["processing", "failed"]
    assert await api.chain.history(job) == [
        "queued",
        "enqueued",
        *tried,
        "queued",
        "enqueued",
        "processing",
        "completed",
    ]


async def test_a_job_that_failed_for_good_can_be_retried_too(api: Api) -> None:
    job = await api.job()
    await api.chain.generate(ScriptedProvider(Unusable("refused"))).run(job)
    told = (await _retry(api, job)).body["generationJob"]
    assert (told["attempts"], told["maxAttempts"]) == (1, 3)


async def test_retry_and_cancel_are_audited_with_who_and_why(api: Api) -> None:
    job = await _failed(api)
    key, key_id = await api.new_key("jobs:write")
    await api.ask("POST", f"/v1/jobs/{job.job_id}/retry", key=key)
    await api.ask("POST", f"/v1/jobs/{job.job_id}/cancel", key=key)
    common = {
        "actor": f"api_key:{key_id}",
        "api_key_id": key_id,
        "request_id": "asked-1",
        "project_id": api.chain.tenant.project.id,
    }
    assert await api.audited(job.job_id) == [
        {"action": "job.retried", **common, "details": {"stood": "failed"}},
        {"action": "job.cancelled", **common, "details": {"stood": "queued"}},
    ]


async def test_a_queued_job_is_published_again_and_becomes_due(api: Api) -> None:
    job = await api.job()
    await api.chain.relay.publish_offered()
    await run_sql(api.chain.store, "UPDATE observation_generation_jobs SET next_attempt_at = now() + interval '1 hour'")
    api.chain.transport.published.clear()
    answer = await _retry(api, job)
    assert (answer.status, answer.body["alreadyQueued"], answer.body["retriedCount"]) == (200, True, 0)
    await api.chain.relay.publish_offered()
    assert [one.job_id for one in api.chain.transport.published] == [job.job_id]
    provider = ScriptedProvider(titled("once"))
    await asyncio.gather(*(api.chain.generate(provider).run(one) for one in (job, *api.chain.transport.published)))
    assert len(provider.asked) == 1
    assert await api.chain.history(job) == ["queued", "enqueued", "enqueued", "processing", "completed"]


async def test_a_retry_while_the_queue_is_away_is_published_by_the_sweep(api: Api) -> None:
    job = await api.job()
    await api.chain.relay.publish_offered()
    await _cancel(api, job)
    api.chain.transport.is_away = True
    await api.job(1)
    await api.chain.relay.publish_offered()
    told = (await _retry(api, job)).body["generationJob"]
    assert told["transport"] == "queued_only"
    await api.chain.relay.publish_offered()
    api.chain.transport.is_away = False
    api.chain.transport.published.clear()
    # Older than what the relay leaves to whoever offers it, younger than what it takes for lost.
    await run_sql(
        api.chain.store, "UPDATE observation_generation_jobs SET updated_at = updated_at - interval '2 seconds'"
    )
    await api.chain.relay.sweep()
    assert job.job_id in {one.job_id for one in api.chain.transport.published}


async def test_what_cannot_be_retried_or_cancelled_is_a_conflict_and_stays_as_it_is(api: Api) -> None:
    completed = await api.job(1)
    await api.chain.generate(ScriptedProvider()).run(completed)
    working = await api.job(2)
    async with api.chain.store.connection() as connection:
        assert await jobs.claim(connection, working, "somebody", _LEASE) is not None
    failed = await api.job(3)
    await api.chain.generate(ScriptedProvider(Unusable("no"))).run(failed)
    before = await run_sql(api.chain.store, "SELECT * FROM observation_generation_jobs ORDER BY id")
    for answer in (
        await _retry(api, completed),
        await _retry(api, working),
        await _cancel(api, completed),
        await _cancel(api, failed),
    ):
        assert (answer.status, answer.body["error"]) == (409, "Conflict")
        assert answer.body["message"].startswith("The job ")
    assert await run_sql(api.chain.store, "SELECT * FROM observation_generation_jobs ORDER BY id") == before
    assert await count(api.chain.store, "audit_log", "action LIKE 'job.%'") == 0


@pytest.mark.parametrize("verb", ["retry", "cancel"])
@pytest.mark.parametrize("job_id", [str(new_id()), "none"])
async def test_an_unknown_job_is_not_found(api: Api, verb: str, job_id: str) -> None:
    assert (await api.ask("POST", f"/v1/jobs/{job_id}/{verb}")).status == 404


async def test_a_queued_job_is_cancelled_once_and_answers_the_same_again(api: Api) -> None:
    job = await api.job()
    first, again = await _cancel(api, job), await _cancel(api, job)
    assert (first.status, again.status) == (200, 200)
    assert first.body["generationJob"] == again.body["generationJob"]
    assert first.body["generationJob"]["status"] == "cancelled"
    assert first.body["generationJob"]["cancelledAtEpoch"] > 0
    assert [answer.body["alreadyCancelled"] for answer in (first, again)] == [False, True]
    provider = ScriptedProvider()
    await api.chain.generate(provider).run(job)
    assert provider.asked == []
    assert await api.chain.history(job) == ["queued", "cancelled"]
    assert len(await api.audited(job.job_id)) == 1


async def test_a_late_answer_to_a_cancelled_job_is_dropped_and_its_waiters_are_woken(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server_beta.services.jobs._LOOK_AGAIN", timedelta(seconds=60))
    spent = Spent("scripted", "model-1", 100, 10)
    held = ScriptedProvider(replace(titled("late"), spent=spent))
    held.may_go_on.clear()
    event = {
        "projectId": str(api.chain.tenant.project.id),
        "sourceType": "api",
        "eventType": "note",
        "occurredAtEpoch": 1_700_000_000_000,
    }
    waiting = asyncio.create_task(api.ask("POST", "/v1/events?wait=true", event))
    (job,) = await eventually(api.chain.all_waiting)
    working = asyncio.create_task(api.chain.generate(held).run(job))
    await held.entered.wait()
    began = time.monotonic()
    assert (await _cancel(api, job)).body["generationJob"]["status"] == "cancelled"
    answer = await waiting
    assert time.monotonic() - began < 5
    assert (answer.body["generationJob"]["status"], answer.body["waitTimedOut"]) == ("cancelled", False)
    retried = await _retry(api, job)
    assert retried.body["generationJob"]["status"] == "queued"
    held.may_go_on.set()
    await working
    assert await api.chain.status(job) == "queued"
    assert await count(api.chain.store, "observations") == 0
    assert await count(api.chain.store, "token_usage") == 0
    (again,) = await api.chain.all_waiting()
    await api.chain.generate(ScriptedProvider(Generated(titled("in time").drafts, spent))).run(again)
    assert await api.chain.titles() == ["in time"]
    assert await count(api.chain.store, "token_usage") == 1
    assert await api.chain.history(job) == ["queued", "processing", "cancelled", "queued", "processing", "completed"]


async def test_a_failure_that_comes_after_the_cancel_is_dropped_too(api: Api) -> None:
    job = await api.job()
    held = ScriptedProvider(Retryable("busy"))
    held.may_go_on.clear()
    working = asyncio.create_task(api.chain.generate(held).run(job))
    await held.entered.wait()
    await _cancel(api, job)
    held.may_go_on.set()
    await working
    assert await api.chain.history(job) == ["queued", "processing", "cancelled"]


async def test_twenty_retries_at_once_are_one_transition(api: Api) -> None:
    job = await _failed(api)
    answers = await asyncio.gather(*(_retry(api, job) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert Counter(answer.body["alreadyQueued"] for answer in answers) == {False: 1, True: 19}
    assert {answer.body["retriedCount"] for answer in answers} == {1}
    assert (await api.chain.history(job)).count("queued") == 2
    (row,) = await run_sql(api.chain.store, "SELECT attempts, max_attempts FROM observation_generation_jobs")
    assert row == {"attempts": 3, "max_attempts": 4}
    stood = Counter(str(row["details"]) for row in await api.audited(job.job_id))
    assert stood == {"{'stood': 'failed'}": 1, "{'stood': 'queued'}": 19}


async def _waits_for_a_row(api: Api) -> bool:
    return (
        await count(api.chain.store, "pg_stat_activity", "datname = current_database() AND wait_event_type = 'Lock'")
        == 1
    )


async def test_a_cancel_that_waits_for_a_claim_cancels_what_was_claimed(api: Api) -> None:
    job = await api.job()
    async with api.chain.store.transaction() as connection:
        assert await jobs.claim(connection, job, "consumer", _LEASE) is not None
        cancelling = asyncio.create_task(_cancel(api, job))
        await eventually(lambda: _waits_for_a_row(api))
    answer = await cancelling
    assert (answer.status, await api.chain.status(job)) == (200, "cancelled")
    assert await api.chain.history(job) == ["queued", "processing", "cancelled"]
    assert [row["details"] for row in await api.audited(job.job_id)] == [{"stood": "processing"}]


@pytest.mark.parametrize("first", ["retry", "cancel"])
async def test_of_two_operators_at_once_the_second_finds_what_the_first_has_done(api: Api, first: str) -> None:
    job = await _failed(api) if first == "retry" else await api.job()
    scope = (job.team_id, job.project_id, job.job_id)
    async with api.chain.store.transaction() as connection:
        if first == "retry":
            await job_operations.retry(connection, *scope, key_id=None, request_id=None, actor="first")
        else:
            await job_operations.cancel(connection, *scope, "first")
        second = asyncio.create_task((_cancel if first == "retry" else _retry)(api, job))
        await eventually(lambda: _waits_for_a_row(api))
    assert (await second).status == 200
    assert await api.chain.status(job) == ("cancelled" if first == "retry" else "queued")


async def test_cancels_and_the_end_of_the_work_at_once_leave_one_of_them(api: Api) -> None:
    ended = Counter[str]()
    for number in range(8):
        job = await api.job(number)
        held = ScriptedProvider(titled(f"{number}"))
        held.may_go_on.clear()
        working = asyncio.create_task(api.chain.generate(held).run(job))
        await held.entered.wait()
        held.may_go_on.set()
        answers, _ = await asyncio.gather(asyncio.gather(*(_cancel(api, job) for _ in range(20))), working)
        status = await api.chain.status(job)
        ended[status] += 1
        assert {answer.status for answer in answers} == ({200} if status == "cancelled" else {409})
        assert await api.chain.history(job) == ["queued", "processing", status]
        assert await api.chain.titles(f"title = '{number}'") == ([f"{number}"] if status == "completed" else [])
        noted = [row["action"] for row in await api.audited(job.job_id)]
        assert noted == (["job.cancelled"] if status == "cancelled" else ["observation.generated"])
    assert ended.total() == 8


async def test_retries_and_claims_at_once_work_on_the_job_once(api: Api) -> None:
    job = await api.job()
    await _cancel(api, job)
    provider = ScriptedProvider(titled("once"))
    generate = api.chain.generate(provider)

    async def deliver() -> None:
        while not provider.asked:
            await generate.run(job)

    delivering = asyncio.gather(*(deliver() for _ in range(10)))
    answers = await asyncio.gather(*(_retry(api, job) for _ in range(20)))
    await delivering
    assert {answer.status for answer in answers} <= {200, 409}
    assert sum(answer.status == 200 and not answer.body["alreadyQueued"] for answer in answers) == 1
    assert len(provider.asked) == 1
    assert await api.chain.titles() == ["once"]
    assert await api.chain.history(job) == ["queued", "cancelled", "queued", "processing", "completed"]


async def test_no_operation_works_with_the_scope_of_another_tenant(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    foreign: tuple[tuple[TeamId, ProjectId], ...] = (
        (TeamId(new_id()), batch.project_id),
        (batch.team_id, ProjectId(new_id())),
    )
    async with chain.store.connection() as connection:
        for team_id, project_id in foreign:
            assert await job_operations.cancel(connection, team_id, project_id, batch.job_id, "x") is None
        assert await chain.status(batch) == "queued"
        assert await job_operations.cancel(connection, batch.team_id, batch.project_id, batch.job_id, "x") is not None
        for team_id, project_id in foreign:
            retried = await job_operations.retry(
                connection, team_id, project_id, batch.job_id, key_id=None, request_id=None, actor="x"
            )
            assert retried is None
    assert await chain.history(batch) == ["queued", "cancelled"]


async def test_whoever_retries_answers_for_the_job(api: Api) -> None:
    key, key_id = await api.new_key("events:write")
    tenant = api.chain.tenant
    asker = Principal(tenant.principal.team_id, None, key_id, tenant.principal.scopes)
    new = replace(tenant.event(1, turn=None), occurred_at=BEGINNING)
    (ingested,) = await api.chain.ingest.record(asker, [new], generate=True, request_id=None)
    assert ingested.job is not None
    job = Message(ingested.job.id, ingested.job.team_id, ingested.job.project_id, ingested.job.source_type.lane, 0)
    await run_sql(api.chain.store, "UPDATE api_keys SET revoked_at = now() WHERE id = $1", key_id)
    provider = ScriptedProvider(titled("taken over"))
    await api.chain.generate(provider).run(job)
    assert await api.chain.status(job) == "failed"
    await _retry(api, job)
    await api.chain.generate(provider).run(job)
    assert await api.chain.titles() == ["taken over"]
    assert (await api.ask("GET", "/v1/jobs", key=key)).status == 403
