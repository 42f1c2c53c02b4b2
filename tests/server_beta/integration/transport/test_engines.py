"""Prefixes, locks, and what is particular to one backend."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest
import structlog
from psycopg.conninfo import make_conninfo
from redis.asyncio import Redis

from server_beta.domain.errors import QueueUnreachable
from server_beta.domain.jobs import Lane
from server_beta.transport import bull, lanes
from server_beta.transport.bullmq import BullmqTransport
from tests.server_beta.integration.transport_backends import Opener, Recorder, a_message, counts_of, is_empty
from tests.support.postgres import PostgresServer
from tests.support.waiting import eventually

SECOND = timedelta(seconds=1)


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
