"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FrozenClock:
    """A Clock for tests; moves by `advance` alone."""

    def __init__(self, now: datetime = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)) -> None:
        if now.tzinfo is None:
            raise ValueError("a clock tells aware instants")
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        """Return the instant at which the clock stands."""
        return self._now

    def advance(self, by: timedelta) -> datetime:
        """Move on and return the new instant."""
        if by < timedelta():
            raise ValueError("time does not go back")
        self._now += by
        return self._now
