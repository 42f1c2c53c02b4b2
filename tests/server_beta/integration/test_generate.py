"""Generation: claimed once, stored once, fenced; replaced and never doubled; given back when it fails."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import asyncpg
import pytest

from server_beta.domain.errors import Unavailable
from server_beta.domain.ids import ProjectId, TeamId, new_id
from server_beta.domain.jobs import Message, SourceType
from server_beta.domain.observations import Draft
from server_beta.domain.ports import Generated, Provider, Retryable, SystemClock, Unusable
from server_beta.domain.turns import Material
from server_beta.services.close_turns import CloseTurns
from server_beta.services.generate import Generate
from server_beta.services.group_commit import GroupCommit
from server_beta.services.ingest import Ingest
from server_beta.services.ledger import Ledger
from server_beta.services.ownership import Ownership
from server_beta.services.relay import Relay
from server_beta.services.signals import Signals
from server_beta.storage import jobs
from server_beta.storage.database import Database
from server_beta.storage.events import Call
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.tenants import BEGINNING, Tenant
from tests.support.transports import HeldTransport
from tests.support.waiting import eventually


@dataclass(slots=True)
class Chain:
    """Ingest and generation on one store, without a transport in between."""

    store: Database
    tenant: Tenant
    relay: Relay
    ingest: Ingest
    transport: HeldTransport

    async def turn(self, *names: str, turn: str = "turn-1", begin: int = 0) -> Message:
        """Store a turn's events, the last one closing it, and return its batch."""
        for number, name in enumerate(names, begin):
            await self.put(number, name, "close" if name == "Stop" else "content", turn)
        return await self.waiting(SourceType.EVENT_BATCH)

    async def put(self, number: int, name: str, call: Call, turn: str = "turn-1", **payload: object) -> None:
        """Store one event."""
        event = self.tenant.event(number, name=name, turn=turn, **payload)
        await self.ingest.store(self.tenant.principal, [(event, call)], request_id="request-1")

    async def waiting(self, source_type: SourceType) -> Message:
        """Return the one queued job of a kind."""
        found = [message for message in await self.all_waiting() if message.lane is source_type.lane]
        assert len(found) == 1
        return found[0]

    async def all_waiting(self) -> list[Message]:
        """Return every queued job that is due."""
        async with self.store.connection() as connection:
            return list(await jobs.unpublished(connection, timedelta(seconds=-60), timedelta(), 100))

    def generate(self, provider: Provider, lease: timedelta = timedelta(seconds=60)) -> Generate:
        """Make a consumer's generation."""
        return Generate(self.store, provider, self.relay, Signals(), Ledger(), SystemClock(), who="test", lease=lease)

    async def titles(self, where: str = "kind <> 'summary'") -> list[str]:
        """Return what was observed."""
        return [
            str(row["title"])
            for row in await run_sql(self.store, f"SELECT title FROM observations WHERE {where} ORDER BY title")
        ]

    async def status(self, message: Message) -> str:
        """Return where a job stands."""
        rows = await run_sql(self.store, "SELECT status FROM observation_generation_jobs WHERE id = $1", message.job_id)
        return str(rows[0]["status"])

    async def history(self, message: Message) -> list[str]:
        """Return a job's lifecycle events."""
        rows = await run_sql(
            self.store,
            "SELECT event FROM observation_generation_job_events WHERE job_id = $1 ORDER BY id",
            message.job_id,
        )
        return [str(row["event"]) for row in rows]


@pytest.fixture
def chain(store: Database, tenant: Tenant) -> Chain:
    transport = HeldTransport()
    relay = Relay(store, transport)
    return Chain(
        store, tenant, relay, Ingest(store, Ownership(store), GroupCommit(store), relay, SystemClock()), transport
    )


def _titled(*titles: str) -> Generated:
    return Generated(tuple(Draft("change", title) for title in titles))


async def test_a_turn_becomes_observations_and_its_summary_follows(chain: Chain) -> None:
    batch = await chain.turn("UserPromptSubmit", "PostToolUse", "Stop")
    provider = ScriptedProvider(_titled("one", "two"))
    await chain.generate(provider).run(batch)
    assert [event.event_type for event in provider.asked[0].events] == ["UserPromptSubmit", "PostToolUse", "Stop"]
    assert await chain.titles() == ["one", "two"]
    assert await chain.status(batch) == "completed"
    assert await chain.history(batch) == ["queued", "processing", "completed"]
    summary = await chain.waiting(SourceType.SESSION_SUMMARY)
    await chain.generate(provider).run(summary)
    assert await chain.titles("kind = 'summary'") == ["3 events"]


async def test_a_delivery_that_comes_twice_is_worked_on_once(chain: Chain) -> None:
    batch = await chain.turn("PostToolUse", "Stop")
    provider = ScriptedProvider(_titled("once"))
    generate = chain.generate(provider)
    await asyncio.gather(*(generate.run(batch) for _ in range(20)))
    await generate.run(batch)
    assert len(provider.asked) == 1
    assert await chain.titles() == ["once"]


async def test_a_delivery_for_another_tenant_claims_nothing(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    provider = ScriptedProvider()
    foreign = Message(batch.job_id, TeamId(new_id()), batch.project_id, batch.lane, 0)
    await chain.generate(provider).run(foreign)
    assert provider.asked == []
    assert await chain.status(batch) == "queued"


async def test_a_turn_that_is_generated_again_replaces_what_it_made_before(chain: Chain) -> None:
    provider = ScriptedProvider(_titled("first", "kept"), _titled("kept", "second"))
    await chain.generate(provider).run(await chain.turn("PostToolUse", "Stop"))
    await chain.put(9, "PostToolUse", "content")
    await chain.generate(provider).run(await chain.waiting(SourceType.EVENT_BATCH))
    assert await chain.titles() == ["kept", "second"]


async def test_another_turn_of_the_session_replaces_nothing(chain: Chain) -> None:
    provider = ScriptedProvider(_titled("first"), _titled("second"))
    await chain.generate(provider).run(await chain.turn("Stop"))
    await chain.generate(provider).run(await chain.turn("Stop", turn="turn-2", begin=10))
    assert await chain.titles() == ["first", "second"]


async def test_a_session_has_one_summary_however_often_it_is_made(chain: Chain) -> None:
    provider = ScriptedProvider(_titled("x"))
    for number in range(3):
        await chain.generate(provider).run(await chain.turn("Stop", turn=f"turn-{number}", begin=number * 10))
        await chain.generate(provider).run(await chain.waiting(SourceType.SESSION_SUMMARY))
    assert await chain.titles("kind = 'summary'") == ["3 events"]


async def test_a_late_answer_is_dropped(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    slow, quick = ScriptedProvider(_titled("late")), ScriptedProvider(_titled("in time"))
    slow.may_go_on.clear()
    late = asyncio.create_task(chain.generate(slow).run(batch))
    await slow.entered.wait()
    await run_sql(chain.store, "UPDATE observation_generation_jobs SET locked_until = now() - interval '1 second'")
    await chain.relay.rescue()
    await chain.generate(quick).run(batch)
    slow.may_go_on.set()
    await late
    assert await chain.titles() == ["in time"]
    assert await chain.history(batch) == ["queued", "processing", "retry_scheduled", "processing", "completed"]


async def test_an_answer_to_a_cancelled_job_is_dropped(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    slow = ScriptedProvider(_titled("late"))
    slow.may_go_on.clear()
    late = asyncio.create_task(chain.generate(slow).run(batch))
    await slow.entered.wait()
    await run_sql(
        chain.store,
        "UPDATE observation_generation_jobs SET status = 'cancelled', cancelled_at = now(), "
        "locked_by = NULL, locked_until = NULL",
    )
    slow.may_go_on.set()
    await late
    assert await chain.titles() == []
    assert await chain.status(batch) == "cancelled"


async def test_a_claim_is_kept_alive_while_the_provider_works(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    slow = ScriptedProvider(_titled("slow"))
    slow.may_go_on.clear()
    working = asyncio.create_task(chain.generate(slow, lease=timedelta(milliseconds=300)).run(batch))
    await slow.entered.wait()
    (before,) = await run_sql(chain.store, "SELECT locked_until FROM observation_generation_jobs")
    waited = await _later_lease(chain, before["locked_until"])
    await chain.relay.rescue()
    slow.may_go_on.set()
    await working
    assert waited > before["locked_until"]  # type: ignore[operator]
    assert await chain.titles() == ["slow"]


async def _later_lease(chain: Chain, before: object) -> object:
    async with asyncio.timeout(5):
        while True:
            (now,) = await run_sql(chain.store, "SELECT locked_until FROM observation_generation_jobs")
            if now["locked_until"] != before:
                return now["locked_until"]


async def test_a_stopping_consumer_gives_its_job_back_unspent(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    slow = ScriptedProvider(_titled("x"))
    slow.may_go_on.clear()
    working = asyncio.create_task(chain.generate(slow).run(batch))
    await slow.entered.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    (row,) = await run_sql(
        chain.store, "SELECT status, max_attempts - attempts AS left_over FROM observation_generation_jobs"
    )
    assert row == {"status": "queued", "left_over": 3}
    again = await chain.waiting(SourceType.EVENT_BATCH)
    assert again.transport_id != batch.transport_id, "the transport would drop an id that it still knows"


@pytest.mark.parametrize("failure", [Retryable("busy"), RuntimeError("boom")])
async def test_a_failing_provider_is_tried_three_times(chain: Chain, failure: Retryable | Exception) -> None:
    batch = await chain.turn("Stop")
    provider = ScriptedProvider(failure)
    for _ in range(5):
        await run_sql(chain.store, "UPDATE observation_generation_jobs SET next_attempt_at = now()")
        await chain.generate(provider).run(batch)
    assert len(provider.asked) == 3
    assert await chain.status(batch) == "failed"
    assert await chain.titles() == []


async def test_a_retry_waits_as_long_as_the_provider_asked(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    await chain.generate(ScriptedProvider(Retryable("busy", timedelta(minutes=10)))).run(batch)
    assert await chain.all_waiting() == []
    (row,) = await run_sql(
        chain.store, "SELECT next_attempt_at > now() + interval '9 minutes' AS later FROM observation_generation_jobs"
    )
    assert row["later"]


async def test_an_unusable_answer_is_not_tried_again(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    provider = ScriptedProvider(Unusable("refused"))
    await chain.generate(provider).run(batch)
    assert await chain.status(batch) == "failed"


async def test_a_private_turn_is_never_shown_to_a_provider(chain: Chain) -> None:
    batch = await chain.turn("UserPromptSubmit", "Stop")
    await run_sql(
        chain.store, "UPDATE agent_events SET metadata = '{\"private\": true}' WHERE event_type = 'UserPromptSubmit'"
    )
    provider = ScriptedProvider()
    await chain.generate(provider).run(batch)
    assert provider.asked == []
    assert await chain.status(batch) == "completed"


async def test_a_turn_whose_client_died_is_closed(chain: Chain) -> None:
    await chain.put(1, "PostToolUse", "content")
    close = CloseTurns(chain.store, chain.relay, idle=timedelta())
    assert await close.run() == 1
    assert await close.run() == 0
    batch = await chain.waiting(SourceType.EVENT_BATCH)
    await chain.generate(ScriptedProvider(_titled("found"))).run(batch)
    assert await close.run() == 0
    assert await chain.titles() == ["found"]


async def test_an_event_stored_while_its_batch_was_read_is_read_later(chain: Chain) -> None:
    """The narrow gap: the event is committed after the load, by a writer that still saw the batch as queued."""
    batch = await chain.turn("PostToolUse", "Stop")

    def store_behind_its_back(material: Material) -> Generated:
        return _titled(f"{len(material.events)} events")

    provider = ScriptedProvider(store_behind_its_back)
    provider.may_go_on.clear()
    working = asyncio.create_task(chain.generate(provider).run(batch))
    await provider.entered.wait()
    await chain.put(5, "PostToolUse", "none")
    provider.may_go_on.set()
    await working
    assert await chain.titles() == ["2 events"]
    assert await CloseTurns(chain.store, chain.relay, idle=timedelta()).run() == 1
    await chain.generate(provider).run(await chain.waiting(SourceType.EVENT_BATCH))
    assert await chain.titles() == ["3 events"]


async def test_a_turn_still_going_on_is_left_alone(chain: Chain) -> None:
    await chain.put(1, "PostToolUse", "content")
    assert await CloseTurns(chain.store, chain.relay).run() == 0


async def test_deleting_a_session_a_project_and_a_team_leaves_nothing(chain: Chain, tenant: Tenant) -> None:
    await chain.generate(ScriptedProvider()).run(await chain.turn("Stop"))
    await chain.generate(ScriptedProvider()).run(await chain.waiting(SourceType.SESSION_SUMMARY))
    await run_sql(chain.store, "DELETE FROM server_sessions WHERE id = $1", tenant.session_id)
    for table in (
        "agent_events",
        "observation_generation_jobs",
        "observation_generation_job_events",
        "observations",
        "observation_sources",
    ):
        assert await count(chain.store, table) == 0, table
    await run_sql(chain.store, "DELETE FROM projects WHERE id = $1", tenant.project.id)
    await run_sql(chain.store, "DELETE FROM teams WHERE id = $1", tenant.principal.team_id)
    assert await count(chain.store, "teams") == 0


async def test_a_batch_that_read_less_does_not_replace_what_a_later_one_made(chain: Chain) -> None:
    batch = await chain.turn("PostToolUse", "Stop")
    slow, quick = ScriptedProvider(_titled("less")), ScriptedProvider(_titled("more"))
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
    one, other = ScriptedProvider(_titled("one")), ScriptedProvider(_titled("other"))
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
    provider = ScriptedProvider(_titled("late"))
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
    provider = ScriptedProvider(_titled("no\0text"))
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
    slow = ScriptedProvider(_titled("slow"))
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
    await chain.generate(ScriptedProvider(_titled("far"))).run(await chain.waiting(SourceType.EVENT_BATCH))
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
    "late", [_titled("late"), Retryable("late"), Unusable("late"), None], ids=["answers", "retries", "fails", "stops"]
)
async def test_a_claimer_that_lost_its_claim_changes_nothing_of_the_next_one(
    chain: Chain, late: Generated | Retryable | Unusable | None
) -> None:
    batch = await chain.turn("Stop")
    first, second = ScriptedProvider(late or _titled("late")), ScriptedProvider(_titled("in time"))
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
