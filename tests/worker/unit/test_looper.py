from __future__ import annotations

import asyncio
from datetime import timedelta

from tests.support.waiting import eventually
from worker.domain.errors import Unavailable
from worker.services.looper import Looper

_LONG = timedelta(hours=1)


async def test_the_first_step_is_taken_at_once_and_others_when_woken() -> None:
    steps = 0

    async def step() -> None:
        nonlocal steps
        steps += 1

    looper = Looper("test", step, _LONG)
    looper.start()
    await eventually(lambda: steps == 1)
    looper.wake()
    await eventually(lambda: steps == 2)
    await looper.stop(1)
    assert steps == 2


async def test_a_step_says_when_the_next_is_due() -> None:
    steps = 0

    async def step() -> timedelta | None:
        nonlocal steps
        steps += 1
        return timedelta() if steps < 5 else None

    looper = Looper("test", step, _LONG)
    looper.start()
    await eventually(lambda: steps == 5)
    await looper.stop(1)
    assert steps == 5


async def test_a_failing_step_is_tried_again() -> None:
    failures: list[Exception] = [Unavailable(), ValueError("bug")]
    done = asyncio.Event()

    async def step() -> None:
        if failures:
            raise failures.pop(0)
        done.set()

    looper = Looper("test", step, timedelta(milliseconds=1))
    looper.start()
    async with asyncio.timeout(5):
        await done.wait()
    await looper.stop(1)


async def test_a_step_that_takes_too_long_is_cancelled_by_the_stop() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    looper = Looper("test", step, _LONG)
    looper.start()
    await begun.wait()
    await looper.stop(0.01)
    assert cancelled.is_set()


async def test_a_loop_that_was_never_started_can_be_stopped() -> None:
    async def step() -> None:
        raise AssertionError("never")

    await Looper("test", step, _LONG).stop(1)
