"""Time limits of the transport: they hold against operations that do not want to end."""

from __future__ import annotations

import asyncio

import pytest

from server_beta.transport.deadline import cancel, within


class Line:
    """A connection that can be hung up; what waits on it notices, and nothing else ends the wait."""

    def __init__(self) -> None:
        self.is_cut = asyncio.Event()

    async def hang_up(self) -> None:
        self.is_cut.set()

    async def stubborn(self) -> None:
        while not self.is_cut.is_set():
            try:
                await self.is_cut.wait()
            except asyncio.CancelledError:
                continue


async def answer() -> int:
    return 42


async def fail() -> None:
    raise ValueError("no")


async def test_an_answer_in_time_is_returned_and_nothing_is_cut() -> None:
    line = Line()

    assert await within(1, answer(), line.hang_up) == 42
    assert not line.is_cut.is_set()


async def test_an_error_in_time_is_raised_and_nothing_is_cut() -> None:
    line = Line()

    with pytest.raises(ValueError, match="no"):
        await within(1, fail(), line.hang_up)
    assert not line.is_cut.is_set()


async def test_an_operation_that_ignores_cancelling_is_cut_off_in_time() -> None:
    line = Line()

    async with asyncio.timeout(1):
        with pytest.raises(TimeoutError):
            await within(0.01, line.stubborn(), line.hang_up)

    assert len(asyncio.all_tasks()) == 1


async def test_a_caller_that_gives_up_cuts_the_operation_off() -> None:
    line = Line()
    call = asyncio.create_task(within(60, line.stubborn(), line.hang_up))
    await asyncio.sleep(0)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert line.is_cut.is_set()
    assert len(asyncio.all_tasks()) == 1


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = asyncio.Event()

    async def swallow_once() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(swallow_once())
    await asyncio.sleep(0)

    await cancel(task)

    assert swallowed.is_set()
    assert task.cancelled()
