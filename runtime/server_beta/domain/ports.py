"""What is really swapped: the generator, the job transport, the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from .jobs import Lane, Message
from .observations import Draft
from .turns import Material
from .usage import Spent


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
    """Generation succeeded; no drafts means there was nothing worth remembering. `spent` is what the call has cost."""

    drafts: tuple[Draft, ...]
    spent: Spent | None = None


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


@dataclass(frozen=True, slots=True)
class LaneCounts:
    """How many messages a lane holds on the transport, by state.

    `stalled` is how many this process has put back, since it began to consume, because their consumer went silent.
    """

    lane: Lane
    waiting: int = 0
    active: int = 0
    completed: int = 0
    failed: int = 0
    delayed: int = 0
    stalled: int = 0
    unavailable: bool = False


Handler = Callable[[Message], Awaitable[None]]


class JobTransport(Protocol):
    """Carries job ids between processes. Loses nothing that matters: the rows are in Postgres."""

    @property
    def engine(self) -> str:
        """`redis` or `postgres`."""
        ...

    async def open(self) -> None:
        """Connect; raises QueueUnreachable within 5 s when the backend does not answer."""
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish in bulk, one BullMQ attempt each; raises Unavailable within 2 s when the backend does not answer."""
        ...

    async def remove(self, messages: Sequence[Message]) -> None:
        """Take back, in bulk, those that nobody is handling; raises Unavailable as `publish` does."""
        ...

    def consume(self, lane: Lane, handler: Handler, concurrency: int) -> None:
        """Begin to hand the lane's messages to the handler; what it raises is logged, the message dropped."""
        ...

    async def counts(self) -> tuple[LaneCounts, ...]:
        """Count every lane; lanes that cannot be counted within 1 s come back `unavailable`."""
        ...

    async def ping(self) -> None:
        """Raise Unavailable within 1 s when the backend does not answer."""
        ...

    async def close(self, grace: timedelta) -> None:
        """Stop consuming, wait for running handlers up to `grace`, then cancel them and disconnect."""
        ...
