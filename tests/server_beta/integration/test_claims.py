"""Claims under pressure: lost, foreign, at once with another one, and over a store that refuses or is away."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from server_beta.domain.errors import Unavailable
from server_beta.domain.ids import ProjectId, TeamId, new_id
from server_beta.domain.jobs import SourceType
from server_beta.domain.observations import Draft
from server_beta.domain.ports import Generated, Retryable, Unusable
from server_beta.storage import jobs
from server_beta.storage.database import Database
from tests.support.chain import Chain, titled
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.tenants import BEGINNING, Tenant
from tests.support.waiting import eventually


async def test_a_batch_that_read_less_does_not_replace_what_a_later_one_made(chain: Chain) -> None:
    batch = await chain.turn("PostToolUse", "Stop")
    slow, quick = ScriptedProvider(titled("less")), ScriptedProvider(titled("more"))
    slow.may_go_on.clear()
    late = asyncio.create_task(chain.generate(slow).run(batch))
    await slow.entered.wait()
    await chain.put(5, "PostToolUse", "content")
    await chain.generate(quick).run(await chain.waiting(SourceType.EVENT_BATCH))
    slow.may_go_on.set()
    await late
    assert await chain.titles() == ["more"]
    assert await chain.status(batch) == "completed"


async def test_batches_of_a_turn_that_are_stored_at_once_leave_one_result(
    chain: Chain, database: str, tenant: Tenant
) -> None:
    first = await chain.turn("PostToolUse", "Stop")
    one, other = ScriptedProvider(titled("one")), ScriptedProvider(titled("other"))
    one.may_go_on.clear()
    other.may_go_on.clear()
    working = [asyncio.create_task(chain.generate(one).run(first))]
    await one.entered.wait()
    await chain.put(5, "PostToolUse", "content")
    working.append(asyncio.create_task(chain.generate(other).run(await chain.waiting(SourceType.EVENT_BATCH))))
    await other.entered.wait()
    async with _session_held(database, tenant):
        one.may_go_on.set()
        other.may_go_on.set()
        await eventually(lambda: _waits_for_locks(chain, 2))
    await asyncio.gather(*working)
    assert await chain.titles() == ["other"]


async def test_a_session_can_be_deleted_while_its_turn_is_stored(chain: Chain, database: str, tenant: Tenant) -> None:
    batch = await chain.turn("PostToolUse", "Stop")
    provider = ScriptedProvider(titled("late"))
    provider.may_go_on.clear()
    working = asyncio.create_task(chain.generate(provider).run(batch))
    await provider.entered.wait()
    async with _session_held(database, tenant) as connection:
        provider.may_go_on.set()
        await eventually(lambda: _waits_for_locks(chain, 1))
        await connection.execute("DELETE FROM server_sessions WHERE id = $1", tenant.session_id)
    await working
    assert await chain.titles() == []
    assert await count(chain.store, "observation_generation_jobs") == 0


@asynccontextmanager
async def _session_held(database: str, tenant: Tenant) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM server_sessions WHERE id = $1 FOR UPDATE", tenant.session_id)
            yield connection
    finally:
        await connection.close()


async def _waits_for_locks(chain: Chain, how_many: int) -> bool:
    rows = await run_sql(
        chain.store,
        "SELECT count(*) AS waiting FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    return rows[0]["waiting"] == how_many


async def test_what_the_store_refuses_is_tried_three_times_and_said(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    provider = ScriptedProvider(titled("no\0text"))
    for _ in range(5):
        await run_sql(chain.store, "UPDATE observation_generation_jobs SET next_attempt_at = now()")
        await chain.generate(provider).run(batch)
    assert len(provider.asked) == 3
    assert await chain.status(batch) == "failed"
    (row,) = await run_sql(chain.store, "SELECT last_error FROM observation_generation_jobs")
    assert str(row["last_error"]).startswith("storing failed with ")


async def test_a_claim_outlives_a_database_that_is_away_for_a_moment(
    chain: Chain, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server_beta.storage.database._ACQUIRE_SECONDS", 0.1)
    batch = await chain.turn("Stop")
    narrow = await Database.open(database, most_connections=1)
    slow = ScriptedProvider(titled("slow"))
    slow.may_go_on.clear()
    generate = replace(chain.generate(slow, lease=timedelta(milliseconds=300)), database=narrow)
    working = asyncio.create_task(generate.run(batch))
    await slow.entered.wait()
    try:
        async with narrow.connection():
            for _ in range(5):
                with pytest.raises(Unavailable):
                    async with narrow.connection():
                        pass
            (before,) = await run_sql(chain.store, "SELECT locked_until FROM observation_generation_jobs")
        await _later_lease(chain, before["locked_until"])
        slow.may_go_on.set()
        await working
    finally:
        await narrow.close(5)
    assert await chain.titles() == ["slow"]


async def test_what_slipped_into_a_private_turn_is_blanked(chain: Chain) -> None:
    batch = await chain.turn("UserPromptSubmit", "PostToolUse", "Stop")
    await run_sql(
        chain.store, "UPDATE agent_events SET metadata = '{\"private\": true}' WHERE event_type = 'UserPromptSubmit'"
    )
    await chain.generate(ScriptedProvider()).run(batch)
    assert await count(chain.store, "agent_events", "payload ? 'tool_name'") == 0


async def test_an_event_dated_into_the_future_is_not_the_newest_for_ever(chain: Chain) -> None:
    far = replace(chain.tenant.event(1, name="Stop"), occurred_at=BEGINNING + timedelta(days=36_500))
    await chain.ingest.store(chain.tenant.principal, [(far, "close")], request_id=None)
    await chain.generate(ScriptedProvider(titled("far"))).run(await chain.waiting(SourceType.EVENT_BATCH))
    assert await count(chain.store, "observations", "created_at <= now()") == 1


async def test_a_path_that_no_index_holds_is_left_out(chain: Chain) -> None:
    long = "/" + "".join(secrets.token_hex(64) for _ in range(32))
    batch = await chain.turn("Stop")
    provider = ScriptedProvider(Generated((Draft("change", "x", files_modified=("a.py", long)),)))
    await chain.generate(provider).run(batch)
    assert await chain.status(batch) == "completed"
    (row,) = await run_sql(chain.store, "SELECT files_modified FROM observations")
    assert row["files_modified"] == ["a.py"]


@pytest.mark.parametrize(
    "late", [titled("late"), Retryable("late"), Unusable("late"), None], ids=["answers", "retries", "fails", "stops"]
)
async def test_a_claimer_that_lost_its_claim_changes_nothing_of_the_next_one(
    chain: Chain, late: Generated | Retryable | Unusable | None
) -> None:
    batch = await chain.turn("Stop")
    first, second = ScriptedProvider(late or titled("late")), ScriptedProvider(titled("in time"))
    first.may_go_on.clear()
    second.may_go_on.clear()
    losing = asyncio.create_task(chain.generate(first).run(batch))
    await first.entered.wait()
    await run_sql(chain.store, "UPDATE observation_generation_jobs SET locked_until = now() - interval '1 second'")
    await chain.relay.rescue()
    working = asyncio.create_task(chain.generate(second).run(batch))
    await second.entered.wait()
    if late is None:
        losing.cancel()
    first.may_go_on.set()
    await asyncio.gather(losing, return_exceptions=True)
    assert await chain.status(batch) == "processing"
    assert await chain.titles() == []
    second.may_go_on.set()
    await working
    assert await chain.titles() == ["in time"]
    assert await chain.history(batch) == ["queued", "processing", "retry_scheduled", "processing", "completed"]


async def test_a_claimer_that_lost_its_claim_does_not_keep_the_next_one_alive(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    async with chain.store.connection() as connection:
        lost = await jobs.claim(connection, batch, "first", timedelta(seconds=60))
        await run_sql(chain.store, "UPDATE observation_generation_jobs SET locked_until = now() - interval '1 second'")
        await chain.relay.rescue()
        kept = await jobs.claim(connection, batch, "second", timedelta(seconds=60))
        assert lost is not None
        assert kept is not None
        assert not await jobs.heartbeat(connection, lost, timedelta(hours=1))
        assert await jobs.heartbeat(connection, kept, timedelta(hours=1))


async def test_a_consumer_that_still_works_is_not_rescued(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    async with chain.store.connection() as connection:
        assert await jobs.claim(connection, batch, "working", timedelta(seconds=60)) is not None
    await chain.relay.rescue()
    assert await chain.status(batch) == "processing"


async def test_a_job_that_is_not_due_is_not_claimed(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    await run_sql(chain.store, "UPDATE observation_generation_jobs SET next_attempt_at = now() + interval '1 minute'")
    provider = ScriptedProvider()
    await chain.generate(provider).run(batch)
    assert provider.asked == []
    assert await chain.status(batch) == "queued"


@pytest.mark.parametrize("foreign", [{"team_id": TeamId(new_id())}, {"project_id": ProjectId(new_id())}], ids=str)
async def test_no_change_of_a_job_works_with_the_scope_of_another_tenant(
    chain: Chain, foreign: dict[str, TeamId | ProjectId]
) -> None:
    batch = await chain.turn("Stop")
    lease = timedelta(seconds=60)
    async with chain.store.connection() as connection:
        assert await jobs.claim(connection, replace(batch, **foreign), "foreign", lease) is None  # type: ignore[arg-type]
        claim = await jobs.claim(connection, batch, "ours", lease)
        assert claim is not None
        theirs = replace(claim, **foreign)  # type: ignore[arg-type]
        assert not await jobs.heartbeat(connection, theirs, lease)
        assert not await jobs.complete(connection, theirs, 1)
        assert not await jobs.release(connection, theirs)
        assert await jobs.retry_or_fail(connection, theirs, None, "foreign") is None
        assert await jobs.complete(connection, claim, 1)


async def _later_lease(chain: Chain, before: object) -> object:
    async with asyncio.timeout(5):
        while True:
            (now,) = await run_sql(chain.store, "SELECT locked_until FROM observation_generation_jobs")
            if now["locked_until"] != before:
                return now["locked_until"]
