"""From the row through each of BullMQ's backends to the consumer: what is lost, retried or forged on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from server_beta.consumer.lanes import consume_lanes
from server_beta.domain.ids import JobId, TeamId, new_id
from server_beta.domain.jobs import Lane, Message
from server_beta.domain.ports import Unusable
from server_beta.domain.records import NewEvent
from server_beta.services.jobs import Jobs
from server_beta.services.relay import Relay
from server_beta.services.signals import Signals
from server_beta.storage.database import Database
from server_beta.transport.bullmq import BullmqTransport
from server_beta.transport.payload import dump
from tests.server_beta.integration.transport_backends import Backend, counts_of
from tests.support.chain import Chain, titled
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.tenants import BEGINNING
from tests.support.waiting import eventually


@pytest.fixture(params=["redis", "postgres"])
def backend(request: pytest.FixtureRequest, database: str) -> Backend:
    """Give the queue's backend; Postgres carries it in the database of the rows, as it does by default."""
    return Backend(request.param, request.getfixturevalue("redis") if request.param == "redis" else database)


@pytest.fixture
async def transport(backend: Backend) -> AsyncIterator[BullmqTransport]:
    transport = backend.transport()
    await transport.open()
    yield transport
    await transport.close(timedelta(seconds=1))


@pytest.fixture
def relay(store: Database, transport: BullmqTransport) -> Relay:
    return Relay(store, transport)


@pytest.fixture
def jobs(store: Database, relay: Relay) -> Jobs:
    return Jobs(store, Signals(), relay)


def _consume(chain: Chain, transport: BullmqTransport, provider: ScriptedProvider) -> None:
    consume_lanes(transport, chain.generate(provider), dict.fromkeys(Lane, 2))


async def _job(chain: Chain, relay: Relay) -> Message:
    message = await _stored(chain)
    relay.offer([message])
    await relay.publish_offered()
    return message


async def _is(chain: Chain, message: Message, status: str) -> bool:
    return await chain.status(message) == status


async def test_a_failed_job_is_delivered_again_after_a_retry(
    chain: Chain, transport: BullmqTransport, relay: Relay, jobs: Jobs
) -> None:
    provider = ScriptedProvider(Unusable("no"), titled("at last"))
    _consume(chain, transport, provider)
    job = await _job(chain, relay)
    await eventually(lambda: _is(chain, job, "failed"))
    await jobs.retry(chain.tenant.principal, job.job_id, None)
    await relay.publish_offered()
    await eventually(lambda: _is(chain, job, "completed"))
    assert await chain.titles() == ["at last"]


async def test_a_job_that_the_queue_has_lost_is_delivered_after_a_retry_and_generated_once(
    chain: Chain, transport: BullmqTransport, relay: Relay, jobs: Jobs
) -> None:
    job = await _job(chain, relay)
    # Gone from the queue as after a flush, or with a consumer that died: the row does not know.
    taken: list[Message] = []

    async def take(message: Message) -> None:
        taken.append(message)

    transport.consume(Lane.EVENT, take, 1)
    await eventually(lambda: taken == [job])
    await eventually(lambda: _is_empty(transport))
    assert await chain.status(job) == "queued"
    await jobs.retry(chain.tenant.principal, job.job_id, None)
    await relay.publish_offered()
    await eventually(lambda: len(taken) == 2)
    provider = ScriptedProvider(titled("once"))
    await asyncio.gather(*(chain.generate(provider).run(message) for message in taken))
    assert len(provider.asked) == 1
    assert await chain.titles() == ["once"]


async def test_a_job_that_still_waits_is_generated_once_however_often_it_is_retried(
    chain: Chain, transport: BullmqTransport, relay: Relay, jobs: Jobs
) -> None:
    job = await _job(chain, relay)
    for _ in range(5):
        await jobs.retry(chain.tenant.principal, job.job_id, None)
        await relay.publish_offered()
    assert (await counts_of(transport)).waiting == 1
    provider = ScriptedProvider(titled("once"))
    _consume(chain, transport, provider)
    await eventually(lambda: _is(chain, job, "completed"))
    await eventually(lambda: _is_empty(transport))
    assert len(provider.asked) == 1


async def test_a_job_that_was_cancelled_under_its_consumer_is_delivered_after_a_retry(
    chain: Chain, transport: BullmqTransport, relay: Relay, jobs: Jobs
) -> None:
    """Its first message is still active then: under the same id, BullMQ would drop the second without a word."""
    held = ScriptedProvider(titled("late"), titled("in time"))
    held.may_go_on.clear()
    _consume(chain, transport, held)
    job = await _job(chain, relay)
    await held.entered.wait()
    await jobs.cancel(chain.tenant.principal, job.job_id, None)
    await jobs.retry(chain.tenant.principal, job.job_id, None)
    await relay.publish_offered()
    await eventually(lambda: len(held.asked) == 2)
    held.may_go_on.set()
    await eventually(lambda: _is(chain, job, "completed"))
    await eventually(lambda: _is_empty(transport))
    assert len(await chain.titles()) == 1
    # A quick consumer claims what is published before the row says so.
    told = [event for event in await chain.history(job) if event != "enqueued"]
    assert told == ["queued", "processing", "cancelled", "queued", "processing", "completed"]


async def test_a_cancelled_job_that_waits_is_delivered_for_nothing(
    chain: Chain, transport: BullmqTransport, relay: Relay, jobs: Jobs
) -> None:
    job = await _job(chain, relay)
    await jobs.cancel(chain.tenant.principal, job.job_id, None)
    provider = ScriptedProvider()
    _consume(chain, transport, provider)
    await eventually(lambda: _is_empty(transport))
    assert provider.asked == []
    assert await chain.status(job) == "cancelled"


@pytest.mark.parametrize(
    "forged",
    [
        {"jobId": 7},
        {"lane": "nonsense"},
        {"lane": "summary"},
        {"teamId": None},
        {"attempt": "0"},
        {"attempt": -1},
        {"version": 2},
        {"more": "x"},
    ],
    ids=str,
)
async def test_a_message_of_another_shape_changes_nothing(
    chain: Chain, transport: BullmqTransport, backend: Backend, forged: dict[str, object]
) -> None:
    message = await _stored(chain)
    with structlog.testing.capture_logs() as logs:
        await backend.add_foreign(Lane.EVENT, {**dump(message), **forged}, "forged")
        provider = ScriptedProvider()
        _consume(chain, transport, provider)
        await eventually(lambda: bool(logs))
        await eventually(lambda: _is_empty(transport))
    assert [entry["action"] for entry in logs] == ["queue.bad_payload"]
    await _is_untouched(chain, message, provider)
    assert await count(chain.store, "audit_log", "action LIKE 'job.%'") == 0


async def test_a_message_under_a_foreign_prefix_is_never_seen(
    chain: Chain, transport: BullmqTransport, backend: Backend
) -> None:
    elsewhere = backend.transport("another_prefix")
    await elsewhere.open()
    message = await _stored(chain)
    await elsewhere.publish([message])
    provider = ScriptedProvider()
    _consume(chain, transport, provider)
    await transport.publish([replace(message, job_id=JobId(new_id()))])
    await eventually(lambda: _is_empty(transport))
    assert (await counts_of(elsewhere)).waiting == 1
    await elsewhere.close(timedelta())
    await _is_untouched(chain, message, provider)


async def test_a_message_that_names_another_tenant_is_audited(
    chain: Chain, transport: BullmqTransport, backend: Backend
) -> None:
    message = await _stored(chain)
    provider = ScriptedProvider()
    _consume(chain, transport, provider)
    await transport.publish([replace(message, team_id=TeamId(new_id()))])
    await eventually(lambda: count(chain.store, "audit_log", "action = 'job.refused'"))
    await _is_untouched(chain, message, provider)


async def _stored(chain: Chain) -> Message:
    tenant = chain.tenant
    new = NewEvent(tenant.project.id, "note", BEGINNING, {}, source_event_id="note")
    (ingested,) = await chain.ingest.record(tenant.principal, [new], generate=True, request_id=None)
    assert ingested.job is not None
    return Message(ingested.job.id, tenant.principal.team_id, tenant.project.id, Lane.EVENT, 0)


async def _is_untouched(chain: Chain, message: Message, provider: ScriptedProvider) -> None:
    assert provider.asked == []
    assert await chain.history(message) == ["queued"]
    (row,) = await run_sql(
        chain.store, "SELECT status, attempts FROM observation_generation_jobs WHERE id = $1", message.job_id
    )
    assert row == {"status": "queued", "attempts": 0}


async def _is_empty(transport: BullmqTransport) -> bool:
    counts = await counts_of(transport)
    return counts.waiting == counts.active == 0
