"""Wait for a fact: bounded polling, and a failure that says what was waited for."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

_PAUSE_SECONDS = 0.01


@overload
async def eventually(fact: Callable[[], Awaitable[T]], within: float = 5.0) -> T: ...


@overload
async def eventually(fact: Callable[[], T], within: float = 5.0) -> T: ...


async def eventually(fact: Callable[[], object], within: float = 5.0) -> object:
    """Return the first true answer of the fact, asked again and again; raises AssertionError after `within` seconds."""
    patience = time.monotonic() + within
    while True:
        answer = fact()
        found = await answer if inspect.isawaitable(answer) else answer
        if found:
            return found
        if time.monotonic() > patience:
            raise AssertionError(_unmet(fact, within, found))
        await asyncio.sleep(_PAUSE_SECONDS)


def eventually_sync(fact: Callable[[], T], within: float = 5.0) -> T:
    """Do the same where no event loop runs."""
    patience = time.monotonic() + within
    while True:
        found = fact()
        if found:
            return found
        if time.monotonic() > patience:
            raise AssertionError(_unmet(fact, within, found))
        time.sleep(_PAUSE_SECONDS)


def _unmet(fact: Callable[[], object], within: float, last: object) -> str:
    try:
        wanted = inspect.getsource(fact).strip()
    except (OSError, TypeError):
        wanted = repr(fact)
    return f"not within {within:g} s: {wanted} (the last answer was {last!r})"
