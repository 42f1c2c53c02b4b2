"""One suite over both backends of the job transport: what `JobTransport` promises, on a real Redis and Postgres."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
import structlog
from psycopg.conninfo import make_conninfo
from redis.asyncio import Redis

from server_beta.domain.errors import QueueUnreachable, Unavailable
from server_beta.domain.jobs import Lane, Message
from server_beta.domain.ports import JobTransport, LaneCounts
from server_beta.transport import bull, lanes
from server_beta.transport.bullmq import BullmqTransport
from server_beta.transport.payload import dump
from tests.server_beta.integration.transport_backends import Backend, Recorder, a_message, no_task_left
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually

SECOND = timedelta(seconds=1)

Opener = Callable[..., Awaitable[BullmqTransport]]


@pytest.fixture(params=["redis", "postgres"])
def backend(request: pytest.FixtureRequest) -> Backend:
    fixture = "redis" if request.param == "redis" else "empty_database"
    return Backend(request.param, request.getfixturevalue(fixture))


@pytest.fixture(autouse=True)
async def nothing_is_left_running() -> AsyncIterator[None]:
    async with no_task_left():
        yield


@pytest.fixture
async def opened(backend: Backend) -> AsyncIterator[Opener]:
    transports: list[BullmqTransport] = []

    async def open_one(prefix: str = "claude_mem") -> BullmqTransport:
        transport = backend.transport(prefix)
        transports.append(transport)
        await transport.open()
        return transport

    yield open_one
    for transport in transports:
        await transport.close(timedelta(0))


@pytest.fixture
async def transport(opened: Opener) -> BullmqTransport:
    return await opened()


async def counts_of(transport: BullmqTransport, lane: Lane = Lane.EVENT) -> LaneCounts:
    return next(counts for counts in await transport.counts() if counts.lane is lane)


async def is_empty(transport: BullmqTransport) -> bool:
    counts = await counts_of(transport)
    return counts == LaneCounts(Lane.EVENT, stalled=counts.stalled)


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


async def test_another_prefix_is_another_queue(opened: Opener) -> None:
    ours, theirs = await opened("claude_mem"), await opened("claude-mem")
    received = Recorder()
    theirs.consume(Lane.EVENT, received, 1)

    await ours.publish([a_message()])
    await theirs.publish([expected := a_message()])

    await eventually(lambda: received.messages == [expected])
    assert (await counts_of(ours)).waiting == 1


async def test_a_message_whose_consumer_died_is_handed_out_again(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bull, "LOCK", 0.2)
    monkeypatch.setattr(bull, "STALLED_CHECK", 0.1)
    monkeypatch.setattr(lanes, "STALLED_CHECK", 0.1)
    transport, received, message = await opened(), Recorder(), a_message()
    await transport.publish([message])

    # Fetched and never settled, its lock never renewed: what a kill -9 leaves behind. BullMQ gives up on a job that
    # stalls twice; we do not, the row decides.
    for _ in range(3):
        dead = transport._backend.source(Lane.EVENT)

        async def takes_it(dead: bull.LaneSource = dead) -> bool:
            await dead.recover_stalled()
            return await dead.fetch() is not None

        await eventually(takes_it)
        assert (await counts_of(transport)).active == 1

    transport.consume(Lane.EVENT, received, 1)
    await eventually(lambda: received.messages == [message])
    await eventually(lambda: is_empty(transport))
    assert (await counts_of(transport)).stalled == 1


async def test_a_handler_that_outlasts_the_lock_keeps_its_message(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bull, "LOCK", 0.4)
    monkeypatch.setattr(bull, "STALLED_CHECK", 0.1)
    monkeypatch.setattr(lanes, "STALLED_CHECK", 0.1)
    transport, received, started = await opened(), Recorder(), asyncio.get_running_loop().time()
    received.hold()
    transport.consume(Lane.EVENT, received, 2)
    await transport.publish([a_message()])

    a_lock_would_have_run_out = started + 3 * bull.LOCK
    await eventually(lambda: asyncio.get_running_loop().time() > a_lock_would_have_run_out)

    assert len(received.messages) == 1
    received.release()
    await eventually(lambda: is_empty(transport))
    assert (await counts_of(transport)).stalled == 0


async def test_a_job_hash_that_is_not_even_json_is_dropped(redis: str) -> None:
    transport, received, good = BullmqTransport.on_redis(redis, "claude_mem"), Recorder(), a_message()
    await transport.open()
    try:
        bad = a_message()
        await transport.publish([bad, good])
        async with Redis.from_url(redis) as client:
            key = f"claude_mem:{Lane.EVENT.queue_name}:{bad.transport_id}"
            await client.hset(key, mapping={"data": "not json", "opts": "not json"})

        transport.consume(Lane.EVENT, received, 1)

        await eventually(lambda: is_empty(transport))
        assert received.messages == [good]
    finally:
        await transport.close(SECOND)


async def test_an_idle_lane_is_silent(redis: str) -> None:
    transport = BullmqTransport.on_redis(redis, "claude_mem")
    await transport.open()
    async with Redis.from_url(redis) as client:
        await client.config_resetstat()

        async def waited_in_vain_once() -> bool:
            waits = (await client.info("commandstats")).get("cmdstat_bzpopmin", {"calls": 0})
            return int(waits["calls"]) >= 2

        with structlog.testing.capture_logs() as logs:
            transport.consume(Lane.EVENT, Recorder(), 1)
            await eventually(waited_in_vain_once)
            await transport.close(SECOND)

    assert logs == []


async def test_a_redis_that_evicts_is_complained_about(redis: str) -> None:
    async with Redis.from_url(redis) as client:
        await client.config_set("maxmemory-policy", "allkeys-lru")
        transport = BullmqTransport.on_redis(redis, "claude_mem")
        try:
            with structlog.testing.capture_logs() as logs:
                await transport.open()

            (warning,) = transport.warnings
            assert "allkeys-lru" in warning
            assert "noeviction" in warning
            assert [entry["event"] for entry in logs if entry["action"] == "queue.eviction"] == [warning]
        finally:
            await client.config_set("maxmemory-policy", "noeviction")
            await transport.close(SECOND)


async def test_a_redis_that_wants_a_password_says_so_without_showing_ours(redis: str) -> None:
    transport = BullmqTransport.on_redis(redis.replace("redis://", "redis://someone:hunter2@"), "claude_mem")

    with pytest.raises(QueueUnreachable) as raised:
        await transport.open()

    assert "CLAUDE_MEM_REDIS_URL" in str(raised.value)
    assert "password" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "redis://localhost:notaport", "unix://"])
def test_a_text_that_is_no_redis_url_is_refused(url: str) -> None:
    with pytest.raises(QueueUnreachable, match="CLAUDE_MEM_REDIS_URL"):
        BullmqTransport.on_redis(url, "claude_mem")


def test_a_text_that_is_no_dsn_is_refused() -> None:
    with pytest.raises(QueueUnreachable, match="CLAUDE_MEM_SERVER_DATABASE_URL"):
        BullmqTransport.on_postgres("postgresql://user:hunter2@host:1/name?nonsense=1", "claude_mem")


async def test_a_database_user_without_create_is_told_what_to_grant(
    empty_database: str, postgres_server: PostgresServer
) -> None:
    guest = make_conninfo(empty_database, user="transport_guest", password="hunter2")
    async with await psycopg.AsyncConnection.connect(postgres_server.superuser_dsn, autocommit=True) as connection:
        await connection.execute("CREATE ROLE transport_guest LOGIN PASSWORD 'hunter2'")
        try:
            transport = BullmqTransport.on_postgres(guest, "claude_mem")
            with pytest.raises(QueueUnreachable, match="grant it CREATE") as raised:
                await transport.open()
        finally:
            await connection.execute("DROP ROLE transport_guest")

    assert "hunter2" not in str(raised.value)
