"""A transport that only remembers what was published, to see what the relay does when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from server_beta.domain.errors import Unavailable
from server_beta.domain.jobs import Lane, Message
from server_beta.domain.ports import Handler, LaneCounts


class HeldTransport:
    """Implements JobTransport; delivers nothing."""

    engine = "held"

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.is_away = False

    async def open(self) -> None:
        """Connect to nothing."""

    async def publish(self, messages: Sequence[Message]) -> None:
        """Remember the messages, or answer like a queue that is away."""
        await self.ping()
        self.published.extend(messages)

    async def remove(self, messages: Sequence[Message]) -> None:
        """Forget the messages, or answer like a queue that is away."""
        await self.ping()
        gone = {message.transport_id for message in messages}
        self.published = [message for message in self.published if message.transport_id not in gone]

    def consume(self, lane: Lane, handler: Handler, concurrency: int) -> None:
        """Deliver nothing."""

    async def counts(self) -> tuple[LaneCounts, ...]:
        """Count nothing."""
        return tuple(LaneCounts(lane, unavailable=self.is_away) for lane in Lane)

    async def ping(self) -> None:
        """Answer, unless away."""
        if self.is_away:
            raise Unavailable

    async def close(self, grace: timedelta) -> None:
        """Disconnect from nothing."""
