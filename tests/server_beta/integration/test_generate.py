"""Generation: claimed once, stored once, fenced; replaced and never doubled; given back when it fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server_beta.domain.ids import TeamId, new_id
from server_beta.domain.jobs import Message, SourceType
from server_beta.domain.ports import Generated, Retryable, Unusable
from server_beta.domain.turns import Material
from server_beta.services.close_turns import CloseTurns
from tests.support.chain import Chain, titled
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.tenants import Tenant


async def test_a_turn_becomes_observations_and_its_summary_follows(chain: Chain) -> None:
    batch = await chain.turn("UserPromptSubmit", "PostToolUse", "Stop")
    provider = ScriptedProvider(titled("one", "two"))
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
    provider = ScriptedProvider(titled("once"))
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
    provider = ScriptedProvider(titled("first", "kept"), titled("kept", "second"))
    await chain.generate(provider).run(await chain.turn("PostToolUse", "Stop"))
    await chain.put(9, "PostToolUse", "content")
    await chain.generate(provider).run(await chain.waiting(SourceType.EVENT_BATCH))
    assert await chain.titles() == ["kept", "second"]


async def test_another_turn_of_the_session_replaces_nothing(chain: Chain) -> None:
    provider = ScriptedProvider(titled("first"), titled("second"))
    await chain.generate(provider).run(await chain.turn("Stop"))
    await chain.generate(provider).run(await chain.turn("Stop", turn="turn-2", begin=10))
    assert await chain.titles() == ["first", "second"]


async def test_a_session_has_one_summary_however_often_it_is_made(chain: Chain) -> None:
    provider = ScriptedProvider(titled("x"))
    for number in range(3):
        await chain.generate(provider).run(await chain.turn("Stop", turn=f"turn-{number}", begin=number * 10))
        await chain.generate(provider).run(await chain.waiting(SourceType.SESSION_SUMMARY))
    assert await chain.titles("kind = 'summary'") == ["3 events"]


async def test_a_late_answer_is_dropped(chain: Chain) -> None:
    batch = await chain.turn("Stop")
    slow, quick = ScriptedProvider(titled("late")), ScriptedProvider(titled("in time"))
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
    slow = ScriptedProvider(titled("late"))
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
    slow = ScriptedProvider(titled("slow"))
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
    slow = ScriptedProvider(titled("x"))
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
    await chain.generate(ScriptedProvider(titled("found"))).run(batch)
    assert await close.run() == 0
    assert await chain.titles() == ["found"]


async def test_an_event_stored_while_its_batch_was_read_is_read_later(chain: Chain) -> None:
    """The narrow gap: the event is committed after the load, by a writer that still saw the batch as queued."""
    batch = await chain.turn("PostToolUse", "Stop")

    def store_behind_its_back(material: Material) -> Generated:
        return titled(f"{len(material.events)} events")

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
