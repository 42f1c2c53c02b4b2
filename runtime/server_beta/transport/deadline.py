"""Time limits that hold even where cancelling does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

HangUp = Callable[[], Awaitable[None]]

_T = TypeVar("_T")

# What an operation may take to notice that it was cut off.
_END_SECONDS = 1.0
_CANCELS = 5


async def within(seconds: float, operation: Coroutine[object, object, _T], hang_up: HangUp) -> _T:
    """Run the operation; raise TimeoutError after `seconds`, having cut its connection with `hang_up`.

    `asyncio.timeout` is not enough: psycopg answers a cancellation by asking the server to cancel, and waits up to
    ten seconds for a server that does not answer.
    """
    task = asyncio.create_task(operation)
    task.add_done_callback(_forget)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return task.result()
    finally:
        if not task.done():
            await end(task, hang_up)
    raise TimeoutError


async def end(task: asyncio.Task[_T], hang_up: HangUp) -> None:
    """Cut the task's connection, cancel it and wait briefly for it to end; what it raises is dropped."""
    task.add_done_callback(_forget)
    try:
        await hang_up()
    finally:
        await cancel(task)


async def cancel(task: asyncio.Task[_T]) -> None:
    """Cancel the task until it ends, or for a second.

    Once is not enough: on Python 3.11 `asyncio.wait_for` swallows a cancellation that arrives together with its result,
    and redis-py sends every command through it.
    """
    for _ in range(_CANCELS):
        task.cancel()
        await asyncio.wait({task}, timeout=_END_SECONDS / _CANCELS)
        if task.done():
            return


def _forget(task: asyncio.Task[_T]) -> None:
    # Asking for the exception keeps asyncio from reporting it as never retrieved.
    if not task.cancelled():
        task.exception()
