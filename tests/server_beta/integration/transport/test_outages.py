"""The job transport while its backend is away, silent or empty: it says so in time, and goes on by itself after."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial

import psycopg
import pytest
import structlog
from psycopg.conninfo import make_conninfo
from redis.asyncio import Redis

from server_beta.domain.errors import QueueUnreachable, Unavailable
from server_beta.domain.jobs import Lane, Message
from server_beta.domain.ports import LaneCounts
from server_beta.transport import lanes
from server_beta.transport.bull import Delivery, LaneSource
from server_beta.transport.bullmq import BullmqTransport
from tests.server_beta.integration.transport_backends import (
    Backend,
    Recorder,
    Wire,
    a_message,
    no_task_left,
    wire_to,
)
from tests.support.postgres import PostgresServer
from tests.support.processes import watched_data_dir
from tests.support.redis import RedisServer
from tests.support.waiting import eventually

either_way = pytest.mark.parametrize("how", ["cut", "hang"])


@pytest.fixture(autouse=True)
async def nothing_is_left_running() -> AsyncIterator[None]:
    async with no_task_left():
        yield


@pytest.fixture(params=["redis", "postgres"])
def direct(request: pytest.FixtureRequest) -> Backend:
    fixture = "redis" if request.param == "redis" else "empty_database"
    return Backend(request.param, request.getfixturevalue(fixture))


@pytest.fixture
async def wire(direct: Backend) -> AsyncIterator[Wire]:
    async with wire_to(direct) as wire:
        yield wire


@pytest.fixture
async def transport(direct: Backend, wire: Wire) -> AsyncIterator[BullmqTransport]:
    async with opened(direct.through(wire).transport()) as transport:
        yield transport


@contextlib.asynccontextmanager
async def opened(transport: BullmqTransport) -> AsyncIterator[BullmqTransport]:
    await transport.open()
    try:
        yield transport
    finally:
        await transport.close(timedelta(0))


async def publish_when_possible(transport: BullmqTransport, message: Message) -> None:
    async def published() -> bool:
        try:
            await transport.publish([message])
        except Unavailable:
            return False
        return True

    await eventually(published, within=2)


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    started = asyncio.get_running_loop().time()
    yield
    assert asyncio.get_running_loop().time() - started <= seconds


@either_way
async def test_publishing_fails_within_two_seconds_and_works_again_by_itself(
    wire: Wire, transport: BullmqTransport, how: str
) -> None:
    await transport.publish([a_message()])
    await wire.fail(how)

    for _ in range(2):
        with at_most(2), pytest.raises(Unavailable, match="does not answer"):
            await transport.publish([a_message() for _ in range(50)])

    await wire.mend()
    await publish_when_possible(transport, a_message())


@either_way
async def test_several_publishers_are_told_in_time_too(wire: Wire, transport: BullmqTransport, how: str) -> None:
    await wire.fail(how)

    with at_most(2.2):
        told = await asyncio.gather(*(transport.publish([a_message()]) for _ in range(5)), return_exceptions=True)

    assert [type(error) for error in told] == [Unavailable] * 5
    await wire.mend()
    await publish_when_possible(transport, a_message())


@either_way
async def test_a_publisher_that_gives_up_midway_leaves_a_working_transport(
    wire: Wire, transport: BullmqTransport, how: str
) -> None:
    await wire.fail("hang")
    publishing = asyncio.create_task(transport.publish([a_message(), a_message()]))
    await asyncio.sleep(0)
    await wire.fail(how)

    publishing.cancel()
    with at_most(1.5), pytest.raises((asyncio.CancelledError, Unavailable)):
        await publishing

    await wire.mend()
    await publish_when_possible(transport, a_message())


@either_way
async def test_asking_how_the_queue_is_takes_a_second_at_most(wire: Wire, transport: BullmqTransport, how: str) -> None:
    await wire.fail(how)

    with at_most(1.2), pytest.raises(Unavailable):
        await transport.ping()
    with at_most(1.2):
        assert await transport.counts() == tuple(LaneCounts(lane, unavailable=True) for lane in Lane)

    await wire.mend()

    async def all_counted() -> bool:
        return not any(counts.unavailable for counts in await transport.counts())

    await eventually(all_counted, within=2)
    await transport.ping()


@either_way
async def test_consumers_go_on_within_two_seconds_of_the_return(
    wire: Wire, transport: BullmqTransport, how: str
) -> None:
    received = {lane: Recorder() for lane in Lane}
    for lane in Lane:
        transport.consume(lane, received[lane], 1)
    await transport.publish([a_message(lane) for lane in Lane])
    await eventually(lambda: all(len(received[lane].messages) == 1 for lane in Lane))
    await wire.fail(how)
    with pytest.raises(Unavailable):
        await transport.publish([a_message()])

    await wire.mend()

    async def goes_on(lane: Lane) -> None:
        await publish_when_possible(transport, message := a_message(lane))
        await eventually(lambda: message in received[lane].messages, within=2)

    with at_most(2):
        await asyncio.gather(*map(goes_on, Lane))


async def test_a_long_outage_is_logged_once_and_its_end_is_noticed_at_once(
    wire: Wire, transport: BullmqTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_FIRST_REST", 0.4)
    received, fetch = Recorder(), LaneSource.fetch
    attempts: list[LaneSource] = []

    async def counted(source: LaneSource) -> Delivery | None:
        attempts.append(source)
        return await fetch(source)

    transport.consume(Lane.EVENT, received, 1)
    with structlog.testing.capture_logs() as logs:
        await wire.fail("cut")
        monkeypatch.setattr(LaneSource, "fetch", counted)
        await eventually(lambda: len(attempts) >= 5)
        await wire.mend()
        with at_most(2):
            await publish_when_possible(transport, message := a_message())
            await eventually(lambda: received.has(message), within=2)

    assert [(entry["action"], entry["lane"]) for entry in logs] == [
        ("queue.lost", Lane.EVENT),
        ("queue.found", Lane.EVENT),
    ]


@either_way
@pytest.mark.parametrize("grace", [0.0, 0.5])
async def test_closing_is_prompt_while_the_backend_is_away(
    wire: Wire, transport: BullmqTransport, how: str, grace: float
) -> None:
    received = Recorder()
    for lane in Lane:
        transport.consume(lane, received, 2)
    received.hold()
    await transport.publish([a_message(), a_message()])
    await eventually(lambda: len(received.messages) == 2)
    await wire.fail(how)
    with pytest.raises(Unavailable):
        await transport.ping()

    with structlog.testing.capture_logs() as logs, at_most(grace + 3):
        await transport.close(timedelta(seconds=grace))

    assert "queue.handlers_stuck" not in {entry["action"] for entry in logs}


@either_way
async def test_closing_an_idle_transport_is_prompt_while_the_backend_is_away(
    wire: Wire, transport: BullmqTransport, how: str
) -> None:
    for lane in Lane:
        transport.consume(lane, Recorder(), 1)
    await wire.fail(how)

    with at_most(2):
        await transport.close(timedelta(seconds=10))


@either_way
async def test_a_backend_that_was_never_reachable_fails_the_start_with_one_sentence(
    direct: Backend, wire: Wire, how: str
) -> None:
    url = direct.through(wire).url
    if direct.engine == "redis":
        transport = BullmqTransport.on_redis(url.replace("redis://", "redis://user:hunter2@"), "claude_mem")
        setting = "CLAUDE_MEM_REDIS_URL"
    else:
        transport = BullmqTransport.on_postgres(make_conninfo(url, password="hunter2"), "claude_mem")
        setting = "CLAUDE_MEM_SERVER_DATABASE_URL"
    await wire.fail(how)

    with at_most(5), pytest.raises(QueueUnreachable) as raised:
        await transport.open()

    assert f"127.0.0.1:{wire.port}" in str(raised.value)
    assert setting in str(raised.value)
    assert "hunter2" not in str(raised.value)
    await transport.close(timedelta(seconds=1))


async def test_terminated_connections_cost_no_message(empty_database: str) -> None:
    received = Recorder()

    async def terminate() -> None:
        async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    async with opened(BullmqTransport.on_postgres(empty_database, "claude_mem")) as transport:
        transport.consume(Lane.EVENT, received, 1)
        for _ in range(3):
            await terminate()
            await publish_when_possible(transport, message := a_message())
            await eventually(partial(received.has, message), within=2)


async def test_a_redis_that_comes_back_empty_is_used_again(redis: str, redis_server: RedisServer) -> None:
    received, waiting = Recorder(), a_message(Lane.SUMMARY)
    async with opened(BullmqTransport.on_redis(redis, "claude_mem")) as transport:
        transport.consume(Lane.EVENT, received, 1)
        await transport.publish([first := a_message(), waiting])
        await eventually(lambda: received.messages == [first])

        redis_server.kill()
        with at_most(2), pytest.raises(Unavailable):
            await transport.publish([a_message()])
        redis_server.start()

        with at_most(2):
            await publish_when_possible(transport, second := a_message())
            await eventually(lambda: received.messages == [first, second])
        assert {counts.lane: counts.waiting for counts in await transport.counts()}[Lane.SUMMARY] == 0
        await transport.publish([waiting])
        transport.consume(Lane.SUMMARY, summaries := Recorder(), 1)
        await eventually(lambda: summaries.messages == [waiting])


async def test_a_redis_that_comes_back_with_its_data_goes_on(redis: str, redis_server: RedisServer) -> None:
    received, waiting = Recorder(), a_message(Lane.SUMMARY)
    async with opened(BullmqTransport.on_redis(redis, "claude_mem")) as transport:
        transport.consume(Lane.EVENT, received, 1)
        await transport.publish([waiting])

        redis_server.restart(keep_data=True)

        with at_most(2):
            await publish_when_possible(transport, message := a_message())
            await eventually(lambda: received.messages == [message])
        transport.consume(Lane.SUMMARY, summaries := Recorder(), 1)
        await eventually(lambda: summaries.messages == [waiting])


async def test_a_stopped_redis_blocks_nobody(redis: str) -> None:
    received = Recorder()
    async with opened(BullmqTransport.on_redis(redis, "claude_mem")) as transport:
        transport.consume(Lane.EVENT, received, 1)
        async with Redis.from_url(redis) as client:
            process = int((await client.info("server"))["process_id"])

        os.kill(process, signal.SIGSTOP)
        try:
            with at_most(2), pytest.raises(Unavailable):
                await transport.publish([a_message()])
            with at_most(1.2), pytest.raises(Unavailable):
                await transport.ping()
        finally:
            os.kill(process, signal.SIGCONT)

        await publish_when_possible(transport, message := a_message())
        await eventually(lambda: message in received.messages, within=2)


async def test_a_flush_while_a_message_is_handled_harms_nothing_else(redis: str) -> None:
    received, message = Recorder(), a_message()
    received.hold()
    async with opened(BullmqTransport.on_redis(redis, "claude_mem")) as transport:
        transport.consume(Lane.EVENT, received, 1)
        await transport.publish([message, a_message()])
        await eventually(lambda: received.messages == [message])

        async with Redis.from_url(redis) as client:
            await client.flushall()
        received.release()

        await transport.publish([message])
        await eventually(lambda: received.messages == [message, message])


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    with watched_data_dir() as folder:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def test_a_restarted_postgres_is_used_again(own_postgres: PostgresServer) -> None:
    received = Recorder()
    async with (
        own_postgres.empty_database() as dsn,
        opened(BullmqTransport.on_postgres(dsn, "claude_mem")) as transport,
    ):
        transport.consume(Lane.EVENT, received, 1)
        await transport.publish([first := a_message(), waiting := a_message(Lane.SUMMARY)])
        await eventually(lambda: received.messages == [first])

        await asyncio.to_thread(own_postgres.stop)
        with at_most(2), pytest.raises(Unavailable):
            await transport.publish([a_message()])
        await asyncio.to_thread(own_postgres.start)

        with at_most(2):
            await publish_when_possible(transport, second := a_message())
            await eventually(lambda: received.messages == [first, second])
        transport.consume(Lane.SUMMARY, summaries := Recorder(), 1)
        await eventually(lambda: summaries.messages == [waiting])
        await transport.close(timedelta(seconds=1))
