"""What `JobTransport` promises of its end, on a real Redis and Postgres."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import structlog

from server_beta.domain.errors import Unavailable
from server_beta.domain.jobs import Lane, Message
from server_beta.domain.ports import LaneCounts
from server_beta.transport import bull, lanes
from server_beta.transport.bullmq import BullmqTransport
from tests.server_beta.integration.transport_backends import Backend, Opener, Recorder, a_message, counts_of
from tests.support.waiting import eventually

SECOND = timedelta(seconds=1)


async def test_closing_waits_for_a_running_handler(transport: BullmqTransport, opened: Opener) -> None:
    observer, received = await opened(), Recorder()
    received.hold()
    transport.consume(Lane.EVENT, received, 1)
    running, waiting = a_message(), a_message()
    await transport.publish([running, waiting])
    await eventually(lambda: received.running == 1)

    closing = asyncio.create_task(transport.close(timedelta(seconds=20)))
    asyncio.get_running_loop().call_later(0.1, received.release)
    async with asyncio.timeout(5):
        await closing

    assert received.finished == [running]
    assert await counts_of(observer) == LaneCounts(Lane.EVENT, waiting=1)


async def test_closing_cancels_a_handler_that_outlasts_the_grace(transport: BullmqTransport, opened: Opener) -> None:
    observer, received = await opened(), Recorder()
    received.hold()
    transport.consume(Lane.EVENT, received, 2)
    await transport.publish([a_message(), a_message()])
    await eventually(lambda: received.running == 2)

    async with asyncio.timeout(2):
        await transport.close(timedelta(milliseconds=100))

    assert len(received.cancelled) == 2
    # Its row is retried under another id, so the message must not come back by itself.
    assert await counts_of(observer) == LaneCounts(Lane.EVENT)


async def test_a_message_that_is_being_fetched_when_closing_begins_is_handled(
    transport: BullmqTransport, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer, received, message = await opened(), Recorder(), a_message()
    fetched, arrives = asyncio.Event(), asyncio.Event()
    fetch = bull.LaneSource.fetch

    async def fetch_slowly(source: bull.LaneSource) -> bull.Delivery | None:
        delivery = await fetch(source)
        if delivery is not None:
            fetched.set()
            await arrives.wait()
        return delivery

    monkeypatch.setattr(bull.LaneSource, "fetch", fetch_slowly)
    transport.consume(Lane.EVENT, received, 1)
    await transport.publish([message])
    await fetched.wait()

    closing = asyncio.create_task(transport.close(SECOND))
    asyncio.get_running_loop().call_later(0.1, arrives.set)
    await closing

    assert received.finished == [message]
    assert await counts_of(observer) == LaneCounts(Lane.EVENT)


async def test_closing_does_not_hang_on_a_handler_that_ignores_it(
    transport: BullmqTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_UNWIND", 0.2)
    started, let_go = asyncio.Event(), asyncio.Event()

    async def stubborn(_: Message) -> None:
        started.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    transport.consume(Lane.EVENT, stubborn, 1)
    await transport.publish([a_message()])
    await started.wait()

    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(3):
            await transport.close(timedelta(0))

    assert [entry["action"] for entry in logs] == ["queue.handlers_stuck"]
    let_go.set()
    await eventually(lambda: len(asyncio.all_tasks()) == 1)
    await transport.close(timedelta(0))


async def test_closing_again_or_before_opening_is_harmless(backend: Backend) -> None:
    never_opened, transport = backend.transport(), backend.transport()
    await transport.open()
    transport.consume(Lane.EVENT, Recorder(), 1)

    await never_opened.close(SECOND)
    await transport.close(SECOND)
    await transport.close(SECOND)


async def test_a_closed_transport_holds_no_connection(backend: Backend) -> None:
    before = await backend.connections()
    transport = backend.transport()
    await transport.open()
    received = Recorder()
    for lane in Lane:
        transport.consume(lane, received, 2)
    await transport.publish([a_message(lane) for lane in Lane])
    await transport.counts()
    await eventually(lambda: len(received.finished) == len(Lane))
    if backend.engine == "postgres":
        assert await backend.connections() - before <= 4

    await transport.close(SECOND)

    async def as_many_as_before() -> bool:
        return await backend.connections() == before

    await eventually(as_many_as_before)


async def test_a_transport_that_is_not_open_is_unavailable(backend: Backend) -> None:
    transport = backend.transport()

    with pytest.raises(Unavailable):
        await transport.publish([a_message()])
    with pytest.raises(Unavailable):
        await transport.ping()
    with pytest.raises(RuntimeError):
        transport.consume(Lane.EVENT, Recorder(), 1)
    assert await transport.counts() == tuple(LaneCounts(lane, unavailable=True) for lane in Lane)
