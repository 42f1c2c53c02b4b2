"""The job transport: BullMQ on Redis, or on its Postgres backend."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol, Self, TypeVar

from ..domain.errors import Unavailable
from ..domain.jobs import Lane, Message
from ..domain.ports import Handler, LaneCounts
from .bull import LaneSource, Link
from .deadline import within
from .lanes import LaneConsumer
from .postgres import PostgresBackend
from .redis import RedisBackend

_T = TypeVar("_T")

_PUBLISH_SECONDS = 1.8
_PROBE_SECONDS = 0.9

# Messages in one round trip: below 100 ms of a Redis that serves nobody else meanwhile.
_BULK = 1000
# Removing takes a round trip for each message, and Redis looks through the whole lane for it.
_REMOVE_BULK = 100


class Backend(Protocol):
    """What carries the queue: its connections, and what it raises when it does not answer."""

    name: str
    address: str
    warnings: tuple[str, ...]
    failures: tuple[type[Exception], ...]
    publishing: Link
    probing: Link

    async def open(self) -> None:
        """Connect; raises QueueUnreachable within 5 s."""
        ...

    def source(self, lane: Lane) -> LaneSource:
        """Open the lane for consuming."""
        ...

    async def close(self) -> None:
        """Drop all connections."""
        ...


class BullmqTransport:
    """Implements `domain.ports.JobTransport`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._consumers: dict[Lane, LaneConsumer] = {}
        self._open = False
        self._closing = asyncio.Lock()

    @classmethod
    def on_redis(cls, url: str, prefix: str) -> Self:
        """Carry the queue on a Redis or Valkey; raises QueueUnreachable when this is not a Redis URL."""
        return cls(RedisBackend(url, prefix))

    @classmethod
    def on_postgres(cls, dsn: str, prefix: str) -> Self:
        """Carry the queue in a schema of its own in this database; raises QueueUnreachable when this is not a DSN."""
        return cls(PostgresBackend(dsn, prefix))

    @property
    def engine(self) -> str:
        """`redis` or `postgres`."""
        return self._backend.name

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should change about the backend; known after `open`."""
        return self._backend.warnings

    async def open(self) -> None:
        """Connect; raises QueueUnreachable within 5 s when the backend does not answer."""
        try:
            await self._backend.open()
        except BaseException:
            await self._backend.close()
            raise
        self._open = True

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publish in bulk; raises Unavailable when the backend leaves a round trip unanswered for 2 s.

        An id that is still waiting or being handled is dropped silently. What was published before a failure stays so.
        """
        for lane, bulk in _bulks(messages, _BULK):
            link = self._backend.publishing
            await self._answer(_PUBLISH_SECONDS, link, link.add(lane, bulk))

    async def remove(self, messages: Sequence[Message]) -> None:
        """Take back those that nobody is handling; raises Unavailable when the backend leaves a bulk undone for 2 s.

        What is being handled stays until its handler ends; what was removed before a failure stays removed.
        """
        for lane, bulk in _bulks(messages, _REMOVE_BULK):
            link = self._backend.publishing
            await self._answer(_PUBLISH_SECONDS, link, link.remove(lane, bulk))

    def consume(self, lane: Lane, handler: Handler, concurrency: int) -> None:
        """Begin to hand the lane's messages to the handler, at most `concurrency` at once."""
        if not self._open or lane in self._consumers:
            raise RuntimeError(f"The lane {lane} can be consumed once, after open and before close.")
        self._consumers[lane] = LaneConsumer(self._backend.source(lane), handler, concurrency)

    async def counts(self) -> tuple[LaneCounts, ...]:
        """Count every lane; lanes that cannot be counted within 1 s come back `unavailable`.

        `stalled` counts the messages that this process has put back since it began to consume the lane.
        """
        return tuple(await asyncio.gather(*map(self._count, Lane)))

    async def ping(self) -> None:
        """Raise Unavailable within 1 s when the backend does not answer."""
        link = self._backend.probing
        await self._answer(_PROBE_SECONDS, link, link.ping())

    async def close(self, grace: timedelta) -> None:
        """Stop consuming, wait for running handlers up to `grace`, then cancel them and disconnect."""
        self._open = False
        async with self._closing:
            consumers, self._consumers = self._consumers.values(), {}
            try:
                await asyncio.gather(*(consumer.close(grace) for consumer in consumers))
            finally:
                await self._backend.close()

    async def _count(self, lane: Lane) -> LaneCounts:
        link = self._backend.probing
        try:
            counts = await self._answer(_PROBE_SECONDS, link, link.count(lane))
        except Unavailable:
            counts = LaneCounts(lane, unavailable=True)
        consumer = self._consumers.get(lane)
        return replace(counts, stalled=consumer.stalled if consumer else 0)

    async def _answer(self, seconds: float, link: Link, operation: Coroutine[object, object, _T]) -> _T:
        if not self._open:
            operation.close()
            raise Unavailable("The queue is not open.")
        try:
            return await within(seconds, operation, link.hang_up)
        except self._backend.failures as error:
            raise Unavailable(
                f"The queue at {self._backend.address} does not answer; stored jobs are published when it does."
            ) from error


def _bulks(messages: Sequence[Message], most: int) -> Iterator[tuple[Lane, list[Message]]]:
    for lane in Lane:
        of_lane = [message for message in messages if message.lane is lane]
        for start in range(0, len(of_lane), most):
            yield lane, of_lane[start : start + most]
