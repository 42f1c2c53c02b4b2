"""Do long work aside, so that others are answered meanwhile: a body of 5 MiB can take seconds to read and to redact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# Characters and members; what has less is done before a thread could begin.
_LARGE = 256 * 1024
# About as much work as a short string is.
_WEIGHT_OF_MEMBER = 16
# One thread: with each more the event loop would get a smaller share of the interpreter.
_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")


async def aside(work: Callable[[], T], on: object) -> T:
    """Return what the work returns, which is done in a thread where what it works `on` is large."""
    if not _is_large(on):
        return work()
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)


def _is_large(value: object) -> bool:
    weight = 0
    left = [value]
    while left and weight <= _LARGE:
        match left.pop():
            case str() | bytes() as text:
                weight += len(text)
            case dict() as members:
                weight += _weight(members)
                left.extend(members.values() if weight <= _LARGE else ())
            case list() | tuple() as items:
                weight += _weight(items)
                left.extend(items if weight <= _LARGE else ())
            case _:
                pass
    return weight > _LARGE


def _weight(container: Sized) -> int:
    return _WEIGHT_OF_MEMBER * len(container)
