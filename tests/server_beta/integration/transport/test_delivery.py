"""What `JobTransport` promises of a message, on a real Redis and Postgres."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from server_beta.domain.jobs import Lane, Message
from server_beta.domain.ports import JobTransport, LaneCounts
from server_beta.transport.bullmq import BullmqTransport
from server_beta.transport.payload import dump
from tests.server_beta.integration.transport_backends import Backend, Opener, Recorder, a_message, counts_of, is_empty
from tests.support.waiting import eventually

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("lane", Lane)
async def test_the_handler_receives_the_message_that_was_published(transport: BullmqTransport, lane: Lane) -> None:
    message, received = a_message(lane), Recorder()
    transport.consume(lane, received, 1)

    await transport.publish([message])

    await eventually(lambda: received.messages == [message])


async def test_the_engine_says_which_backend_it_is(backend: Backend, transport: BullmqTransport) -> None:
    as_port: JobTransport = transport

    assert as_port.engine == backend.engine
    assert transport.warnings == ()


async def test_publishing_nothing_does_nothing(transport: BullmqTransport) -> None:
    await transport.publish([])

    assert await transport.counts() == tuple(LaneCounts(lane) for lane in Lane)


async def test_a_bulk_of_a_thousand_arrives_once_each_and_in_order(transport: BullmqTransport) -> None:
    messages, received = [a_message() for _ in range(1000)], Recorder()

    await transport.publish(messages)
    assert await counts_of(transport) == LaneCounts(Lane.EVENT, waiting=1000)
    transport.consume(Lane.EVENT, received, 1)

    await eventually(lambda: len(received.messages) >= 1000, 30)
    await eventually(lambda: is_empty(transport))
    assert received.messages == messages


async def test_one_bulk_may_span_lanes_and_each_lane_gets_its_own(transport: BullmqTransport) -> None:
    messages = [a_message(lane) for lane in Lane for _ in range(2)]
    received = {lane: Recorder() for lane in Lane}
    for lane in Lane:
        transport.consume(lane, received[lane], 1)

    await transport.publish(messages)

    await eventually(lambda: all(len(received[lane].messages) == 2 for lane in Lane))
    assert [message for lane in Lane for message in received[lane].messages] == messages


async def test_more_messages_than_one_round_trip_takes(
    transport: BullmqTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server_beta.transport.bullmq._BULK", 10)

    await transport.publish([a_message() for _ in range(25)])

    assert (await counts_of(transport)).waiting == 25


async def test_an_id_that_waits_is_not_queued_again(transport: BullmqTransport) -> None:
    message, received = a_message(), Recorder()

    await transport.publish([message])
    await transport.publish([message])
    await transport.publish([message, message, a_message()])

    assert (await counts_of(transport)).waiting == 2
    transport.consume(Lane.EVENT, received, 1)
    await eventually(lambda: is_empty(transport))
    assert Counter(received.messages)[message] == 1


async def test_an_id_that_is_being_handled_is_not_queued_again(transport: BullmqTransport) -> None:
    message, received = a_message(), Recorder()
    received.hold()
    transport.consume(Lane.EVENT, received, 1)
    await transport.publish([message])
    await eventually(lambda: received.running == 1)

    await transport.publish([message])

    assert await counts_of(transport) == LaneCounts(Lane.EVENT, active=1)
    received.release()
    await eventually(lambda: is_empty(transport))
    assert received.messages == [message]


async def test_a_finished_id_is_forgotten_and_works_again(transport: BullmqTransport) -> None:
    message, received = a_message(), Recorder()
    transport.consume(Lane.EVENT, received, 1)

    async def once_more() -> None:
        before = len(received.messages)
        await transport.publish([message])
        await eventually(lambda: len(received.messages) > before)
        await eventually(lambda: is_empty(transport))

    for _ in range(3):
        await once_more()

    assert received.messages == [message] * 3


async def test_the_next_attempt_is_delivered_while_the_last_one_is_still_handled(transport: BullmqTransport) -> None:
    message, received = a_message(), Recorder()
    received.hold()
    transport.consume(Lane.EVENT, received, 2)
    await transport.publish([message])
    await eventually(lambda: received.running == 1)

    await transport.publish([replace(message, attempt=1)])

    await eventually(lambda: [received.attempt for received in received.messages] == [0, 1])


async def test_a_handler_that_raises_loses_its_message_and_nothing_else(transport: BullmqTransport) -> None:
    bad, good, received = a_message(), a_message(), Recorder()

    async def handle(message: Message) -> None:
        await received(message)
        if message == bad:
            raise ValueError("a secret from the payload")

    transport.consume(Lane.EVENT, handle, 1)
    with structlog.testing.capture_logs() as logs:
        await transport.publish([bad, good])
        await eventually(lambda: is_empty(transport))

    assert received.messages == [bad, good]
    (entry,) = (entry for entry in logs if entry["action"] == "queue.handler_failed")
    assert (entry["lane"], entry["job_id"], entry["error"]) == (Lane.EVENT, bad.transport_id, "ValueError")
    assert "secret" not in str(logs)


@pytest.mark.parametrize(
    "payload",
    [
        {"prompt": "a secret"},
        "a secret",
        None,
        ["a secret"],
        {**dump(a_message()), "version": 2, "prompt": "a secret"},
        dump(a_message(Lane.SUMMARY)),
    ],
)
async def test_a_payload_that_is_no_message_is_dropped(
    backend: Backend, transport: BullmqTransport, payload: object
) -> None:
    received, good = Recorder(), a_message()
    await backend.add_foreign(Lane.EVENT, payload, "stranger")

    with structlog.testing.capture_logs() as logs:
        transport.consume(Lane.EVENT, received, 1)
        await transport.publish([good])
        await eventually(lambda: is_empty(transport))

    assert received.messages == [good]
    (entry,) = (entry for entry in logs if entry["action"] == "queue.bad_payload")
    assert entry["job_id"] == "stranger"
    assert "secret" not in str(logs)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_at_most_so_many_handlers_run_at_once(transport: BullmqTransport, concurrency: int) -> None:
    received = Recorder()
    received.hold()
    transport.consume(Lane.EVENT, received, concurrency)
    await transport.publish([a_message() for _ in range(10)])

    await eventually(lambda: received.running == concurrency)
    assert await counts_of(transport) == LaneCounts(Lane.EVENT, waiting=10 - concurrency, active=concurrency)

    received.release()
    await eventually(lambda: len(received.finished) == 10)
    assert received.most_running == concurrency


async def test_a_lane_has_one_consumer_in_a_transport(transport: BullmqTransport) -> None:
    transport.consume(Lane.EVENT, Recorder(), 1)

    with pytest.raises(RuntimeError):
        transport.consume(Lane.EVENT, Recorder(), 1)


async def test_ping_is_content_with_a_backend_that_answers(transport: BullmqTransport) -> None:
    await transport.ping()


async def test_several_transports_share_the_work_without_doubles(
    opened: Opener,
) -> None:
    transports = [await opened() for _ in range(4)]
    received = [Recorder() for _ in transports]
    for transport, recorder in zip(transports, received, strict=True):
        transport.consume(Lane.EVENT, recorder, 2)
    messages = [a_message() for _ in range(200)]

    for part in range(4):
        await transports[part].publish(messages[part * 50 : part * 50 + 50])

    await eventually(lambda: sum(len(recorder.messages) for recorder in received) >= 200, 20)
    await eventually(lambda: is_empty(transports[0]))
    assert Counter(message for recorder in received for message in recorder.messages) == Counter(messages)
    assert sum(1 for recorder in received if recorder.messages) > 1


async def test_twenty_processes_may_open_at_once(backend: Backend) -> None:
    transports = [backend.transport() for _ in range(20)]
    try:
        await asyncio.gather(*(transport.open() for transport in transports))
        await asyncio.gather(*(transport.ping() for transport in transports))
    finally:
        await asyncio.gather(*(transport.close(timedelta(0)) for transport in transports))


async def test_what_nobody_handles_can_be_taken_back(transport: BullmqTransport) -> None:
    received = Recorder()
    received.hold()
    transport.consume(Lane.EVENT, received, 1)
    await transport.publish([handled := a_message()])
    await eventually(lambda: received.messages == [handled])
    gone = [a_message() for _ in range(250)]
    others = [a_message(Lane.SUMMARY) for _ in range(3)]
    await transport.publish([*gone, kept := a_message(), *others])

    # One is at work, one was never published, and one lane has nothing of the others.
    await transport.remove([handled, *gone, a_message(), others[0]])

    assert ((await counts_of(transport)).waiting, (await counts_of(transport)).active) == (1, 1)
    assert (await counts_of(transport, Lane.SUMMARY)).waiting == 2
    received.release()
    await eventually(lambda: received.finished == [handled, kept])
    await eventually(lambda: is_empty(transport))
    # Published again, it is as new.
    await transport.publish([gone[0]])
    await eventually(lambda: received.has(gone[0]))
