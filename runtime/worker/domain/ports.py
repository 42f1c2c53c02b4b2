"""What is really swapped: the generator and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from .observations import Draft
from .turns import Material


class Clock(Protocol):
    """Tells the time; tests freeze it."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Generated:
    """Generation succeeded; no drafts means there was nothing worth remembering."""

    drafts: tuple[Draft, ...]


@dataclass(frozen=True, slots=True)
class Retryable:
    """Generation failed in a way that another try may mend. `reason` is shown to operators: no payload, no secret."""

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """Generation failed for good. `reason` is shown to operators: no payload, no secret."""

    reason: str


Outcome = Generated | Retryable | Unusable


class Provider(Protocol):
    """Makes observations out of recorded work. Never raises for what a model or network did: outcomes are values."""

    @property
    def name(self) -> str:
        """The provider's name in settings, health and usage."""
        ...

    async def observe(self, material: Material) -> Outcome:
        """Make the observations of a turn, or of a single event."""
        ...

    async def summarise(self, material: Material) -> Outcome:
        """Make at most one draft, of kind `summary`, out of a whole session's events."""
        ...
