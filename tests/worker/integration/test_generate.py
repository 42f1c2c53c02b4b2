"""From the queue to observations: replaced and never doubled, whatever the provider does."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.worker.parts import Chain, edit, prompt, stop
from worker.domain.observations import Draft
from worker.domain.ports import Generated, Retryable, Unusable
from worker.services.close_turns import CloseTurns
from worker.services.rescue_jobs import RescueJobs


async def test_a_turn_and_then_its_session_are_generated(chain: Chain) -> None:
    await chain.take(prompt("Fix it."))
    await chain.take(edit("a.py"))
    await chain.take(stop())
    assert await chain.work() == 2
    assert chain.titles() == ["3 events", "summary of 3 events"]
    assert chain.statuses() == {"event_batch": "completed", "session_summary": "completed"}
    material = chain.provider.asked[0]
    assert [event.event_type for event in material.events] == ["UserPromptSubmit", "PostToolUse", "Stop"]
    assert material.project_root == "/home/dev/shop"


async def test_a_late_event_replaces_what_was_generated(chain: Chain) -> None:
    await chain.take(stop())
    await chain.work()
    await chain.take(edit("late.py"), spooled="1")
    await chain.work()
    assert chain.titles() == ["2 events", "summary of 2 events"]
    assert chain.rows("SELECT count(*) FROM observation_words") == [(2,)]


async def test_what_stays_the_same_keeps_its_id(chain: Chain) -> None:
    same, other = Draft("decision", "Kept"), Draft("change", "Grew")
    chain.provider.answers = [Generated((same,)), Generated((other, same))]
    await chain.take(stop())
    await chain.work()
    before = chain.rows("SELECT id FROM observations WHERE title = 'Kept'")
    await chain.take(edit("late.py"))
    await chain.work()
    assert chain.rows("SELECT id FROM observations WHERE title = 'Kept'") == before
    assert chain.titles().count("Kept") == 1


async def test_two_equal_drafts_are_two_observations(chain: Chain) -> None:
    chain.provider.answers = [Generated((Draft("change", "Twice"), Draft("change", "Twice")))]
    await chain.take(stop())
    await chain.work()
    assert chain.titles().count("Twice") == 2


async def test_an_event_that_comes_while_its_turn_is_generated_is_not_lost(chain: Chain) -> None:
    chain.provider.may_go_on.clear()
    await chain.take(stop())
    working = asyncio.create_task(chain.work())
    await chain.provider.entered.wait()
    await chain.take(edit("late.py"))
    chain.provider.may_go_on.set()
    await working
    assert chain.titles() == ["2 events", "summary of 2 events"]


async def test_an_answer_whose_claim_was_lost_is_dropped(chain: Chain) -> None:
    chain.provider.may_go_on.clear()
    await chain.take(stop())
    late = asyncio.create_task(chain.generate.run_next())
    await chain.provider.entered.wait()
    chain.clock.advance(timedelta(seconds=61))
    await RescueJobs(chain.database, chain.clock, chain.wake).run()
    chain.provider.answers = [Generated((Draft("change", "late"),))]
    chain.provider.may_go_on.set()
    await late
    assert chain.titles() == []
    assert chain.statuses() == {"event_batch": "queued"}
    chain.provider.answers = []
    await chain.work()
    assert chain.titles() == ["1 events", "summary of 1 events"]


async def test_nothing_to_say_completes_with_nothing(chain: Chain) -> None:
    chain.provider.answers = [Generated(())]
    await chain.take(stop())
    await chain.work()
    assert chain.statuses()["event_batch"] == "completed"
    assert chain.titles() == ["summary of 1 events"]


@pytest.mark.parametrize("trouble", [Retryable("busy"), RuntimeError("bug with a payload")])
async def test_trouble_that_may_pass_is_tried_again(chain: Chain, trouble: Retryable | Exception) -> None:
    chain.provider.answers = [trouble, Generated((Draft("change", "at last"),))]
    await chain.take(stop())
    await chain.work()
    assert chain.statuses() == {"event_batch": "queued"}
    assert chain.ledger.consecutive_failures == 1
    assert "payload" not in chain.rows("SELECT last_error FROM jobs")[0][0]
    chain.clock.advance(timedelta(seconds=3))
    await chain.work()
    assert "at last" in chain.titles()
    assert chain.ledger.consecutive_failures == 0


async def test_a_provider_says_when_to_come_back(chain: Chain) -> None:
    chain.provider.answers = [Retryable("slow down", timedelta(hours=1)), Generated((Draft("change", "at last"),))]
    await chain.take(stop())
    await chain.work()
    chain.clock.advance(timedelta(minutes=59))
    assert await chain.work() == 0
    chain.clock.advance(timedelta(minutes=1))
    assert await chain.work() == 2


async def test_trouble_for_good_fails_the_job_and_keeps_the_rest(chain: Chain) -> None:
    chain.provider.answers = [Unusable("refused")]
    await chain.take(stop())
    await chain.work()
    assert chain.rows("SELECT status, last_error FROM jobs") == [("failed", "refused")]
    assert chain.rows("SELECT count(*) FROM events") == [(1,)]


async def test_a_store_that_fails_gives_the_job_back(chain: Chain) -> None:
    broken = Draft("change", "broken", metadata={"not": {"json"}})
    chain.provider.answers = [Generated((broken,)), Generated((Draft("change", "whole"),))]
    await chain.take(stop())
    await chain.generate.run_next()
    assert chain.statuses() == {"event_batch": "queued"}
    assert chain.titles() == []
    chain.clock.advance(timedelta(seconds=3))
    await chain.work()
    assert "whole" in chain.titles()


async def test_a_stop_releases_what_is_being_worked_on(chain: Chain) -> None:
    chain.provider.may_go_on.clear()
    await chain.take(stop())
    working = asyncio.create_task(chain.generate.run_next())
    await chain.provider.entered.wait()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert chain.rows("SELECT status, attempts FROM jobs") == [("queued", 0)]


async def test_a_start_takes_over_what_a_dead_process_had_claimed(chain: Chain) -> None:
    chain.provider.may_go_on.clear()
    await chain.take(stop())
    dead = asyncio.create_task(chain.generate.run_next())
    await chain.provider.entered.wait()
    await RescueJobs(chain.database, chain.clock, chain.wake).run_at_start()
    assert chain.statuses() == {"event_batch": "queued"}
    chain.provider.may_go_on.set()
    await dead
    await chain.work()
    assert chain.titles() == ["1 events", "summary of 1 events"]


async def test_an_idle_turn_is_closed(chain: Chain) -> None:
    close = CloseTurns(chain.database, chain.clock, chain.wake)
    await chain.take(edit("a.py"))
    await close.run()
    assert await chain.work() == 0
    chain.clock.advance(timedelta(minutes=2, seconds=1))
    await close.run()
    assert await chain.work() == 2
    await close.run()
    assert await chain.work() == 0
    assert chain.titles() == ["1 events", "summary of 1 events"]
