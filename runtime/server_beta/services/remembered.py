"""A small memory of what was looked up, so that the next event of a session costs no query."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

_T = TypeVar("_T")
_MOST = 5_000


class Remembered(Generic[_T]):
    """Keeps the newest entries; forgets the oldest first."""

    def __init__(self) -> None:
        self._entries: dict[Hashable, _T] = {}

    def get(self, key: Hashable) -> _T | None:
        """Return what was remembered."""
        return self._entries.get(key)

    def put(self, key: Hashable, value: _T) -> None:
        """Remember, and forget the oldest where there is too much."""
        if len(self._entries) >= _MOST:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
