"""Turns that nobody closed: found at the start however old they are, then when they are recent, else each hour."""

from __future__ import annotations

from datetime import timedelta

from server_beta.services.close_turns import CloseTurns
from tests.support.chain import Chain
from tests.support.counting import count, run_sql


async def _leave_open(chain: Chain, number: int, age: timedelta) -> None:
    await chain.put(number, "PostToolUse", "content", turn=f"turn-{number}")
    await run_sql(
        chain.store,
        "UPDATE agent_events SET created_at = now() - $1::interval WHERE source_event_id = $2",
        age,
        f"event-{number}",
    )


async def test_an_old_turn_is_found_at_the_start_and_again_within_the_hour(chain: Chain) -> None:
    close = CloseTurns(chain.store, chain.relay)
    await _leave_open(chain, 1, timedelta(days=6))
    assert await close.run() == 1
    await _leave_open(chain, 2, timedelta(days=5))
    looks = 1
    while await close.run() == 0:
        looks += 1
        assert looks <= 240
    assert looks == 240
    assert await count(chain.store, "observation_generation_jobs") == 2


async def test_a_recent_turn_is_found_at_every_look(chain: Chain) -> None:
    close = CloseTurns(chain.store, chain.relay)
    for number in range(1, 4):
        await _leave_open(chain, number, timedelta(minutes=3))
        assert await close.run() == 1
    assert await close.run() == 0


async def test_a_turn_beyond_a_week_is_left_alone(chain: Chain) -> None:
    await _leave_open(chain, 1, timedelta(days=8))
    assert await CloseTurns(chain.store, chain.relay).run() == 0
