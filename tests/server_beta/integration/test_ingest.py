"""Ingest: an event and the job that it calls for, in one statement, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from server_beta.domain.errors import NotFound
from server_beta.domain.ids import ProjectId, new_id
from server_beta.domain.jobs import JobStatus, Message, SourceType
from server_beta.domain.records import Ingested, NewEvent
from server_beta.services.group_commit import GroupCommit
from server_beta.services.ingest import Ingest
from server_beta.services.ownership import Ownership
from server_beta.services.relay import Relay
from server_beta.storage import tenants
from server_beta.storage.database import Database
from server_beta.storage.events import Call, Write, Written
from tests.support.clock import FrozenClock
from tests.support.counting import count, run_sql
from tests.support.tenants import Tenant, make_tenant
from tests.support.transports import HeldTransport


@pytest.fixture
def transport() -> HeldTransport:
    return HeldTransport()


@pytest.fixture
def ingest(store: Database, transport: HeldTransport, clock: FrozenClock) -> Ingest:
    return Ingest(store, Ownership(store), GroupCommit(store), Relay(store, transport), clock)


async def _store(ingest: Ingest, tenant: Tenant, *called: tuple[NewEvent, Call]) -> list[Ingested]:
    return await ingest.store(tenant.principal, called, request_id="request-1")


async def test_an_api_event_gets_a_job_of_its_own(ingest: Ingest, tenant: Tenant) -> None:
    (stored,) = await ingest.record(tenant.principal, [tenant.event()], generate=True, request_id=None)
    assert stored.created
    assert stored.job is not None
    assert stored.job.source_type is SourceType.AGENT_EVENT
    assert stored.job.status is JobStatus.QUEUED
    assert stored.transport == "enqueued"


async def test_an_event_may_ask_for_no_generation(ingest: Ingest, tenant: Tenant, store: Database) -> None:
    (stored,) = await ingest.record(tenant.principal, [tenant.event()], generate=False, request_id=None)
    assert (stored.job, stored.transport) == (None, "skipped")
    assert await count(store, "observation_generation_jobs") == 0


async def test_a_replay_gives_the_same_ids_and_adds_no_row(ingest: Ingest, tenant: Tenant, store: Database) -> None:
    (first,) = await ingest.record(tenant.principal, [tenant.event()], generate=True, request_id=None)
    (again,) = await ingest.record(tenant.principal, [tenant.event()], generate=True, request_id=None)
    assert not again.created
    assert first.job is not None
    assert again.job is not None
    assert (again.event.id, again.job.id) == (first.event.id, first.job.id)
    assert await count(store, "agent_events") == 1
    assert await count(store, "observation_generation_jobs") == 1
    assert await count(store, "observation_generation_job_events") == 1


async def test_a_thousand_identical_deliveries_at_once_are_one_event(
    ingest: Ingest, tenant: Tenant, store: Database
) -> None:
    answers = await asyncio.gather(
        *(ingest.record(tenant.principal, [tenant.event()], generate=True, request_id=None) for _ in range(1000))
    )
    assert sum(answer[0].created for answer in answers) == 1
    assert len({answer[0].event.id for answer in answers}) == 1
    assert await count(store, "agent_events") == 1
    assert await count(store, "observation_generation_jobs") == 1
    assert await count(store, "observation_generation_job_events") == 1


async def test_two_processes_that_store_the_same_event_agree(
    ingest: Ingest, tenant: Tenant, store: Database, clock: FrozenClock, transport: HeldTransport
) -> None:
    other = Ingest(store, Ownership(store), GroupCommit(store), Relay(store, transport), clock)
    for number in range(20):
        one, two = await asyncio.gather(
            ingest.record(tenant.principal, [tenant.event(number)], generate=True, request_id=None),
            other.record(tenant.principal, [tenant.event(number)], generate=True, request_id=None),
        )
        assert one[0].event.id == two[0].event.id
        assert [one[0].created, two[0].created].count(True) == 1
    assert await count(store, "agent_events") == 20


async def test_without_a_source_id_the_content_is_the_identity(ingest: Ingest, tenant: Tenant) -> None:
    anonymous = replace(tenant.event(), source_event_id=None)
    (first,) = await ingest.record(tenant.principal, [anonymous], generate=True, request_id=None)
    (same,) = await ingest.record(tenant.principal, [anonymous], generate=True, request_id=None)
    (other,) = await ingest.record(
        tenant.principal, [replace(anonymous, payload={"n": 2})], generate=True, request_id=None
    )
    assert same.event.id == first.event.id
    assert other.created


async def test_a_batch_is_all_or_nothing(ingest: Ingest, tenant: Tenant, store: Database) -> None:
    foreign = await make_tenant(store, "foreign")
    mixed = [tenant.event(1), replace(tenant.event(2), project_id=foreign.project.id)]
    with pytest.raises(NotFound):
        await ingest.record(tenant.principal, mixed, generate=True, request_id=None)
    assert await count(store, "agent_events") == 0


async def test_a_batch_by_a_key_for_one_project_cannot_reach_its_teams_other_one(
    ingest: Ingest, tenant: Tenant, store: Database
) -> None:
    async with store.connection() as connection:
        other, _ = await tenants.find_or_create_project(connection, tenant.principal.team_id, "git:example.org/b", "b")
    limited = replace(tenant.principal, project_id=tenant.project.id)
    mixed = [replace(tenant.event(1), session_id=None), replace(tenant.event(2), session_id=None, project_id=other.id)]
    with pytest.raises(NotFound):
        await ingest.record(limited, mixed, generate=True, request_id=None)
    assert await count(store, "agent_events") == 0


async def test_a_session_of_another_team_cannot_be_named(ingest: Ingest, tenant: Tenant, store: Database) -> None:
    foreign = await make_tenant(store, "foreign")
    with pytest.raises(NotFound):
        await ingest.record(
            tenant.principal, [replace(tenant.event(), session_id=foreign.session_id)], generate=True, request_id=None
        )


async def test_a_vanished_project_fails_only_its_own_event(ingest: Ingest, tenant: Tenant, store: Database) -> None:
    gone = replace(tenant.event(1), project_id=ProjectId(new_id()), session_id=None)
    results = await asyncio.gather(
        _store(ingest, tenant, (tenant.event(0), "none")),
        _store(ingest, tenant, (gone, "none")),
        _store(ingest, tenant, (tenant.event(2), "none")),
        return_exceptions=True,
    )
    assert [isinstance(result, NotFound) for result in results] == [False, True, False]
    assert await count(store, "agent_events") == 2


async def test_a_stop_queues_one_batch_for_its_turn(ingest: Ingest, tenant: Tenant) -> None:
    (used,) = await _store(ingest, tenant, (tenant.event(1), "content"))
    (stop,) = await _store(ingest, tenant, (tenant.event(2, name="Stop"), "close"))
    (again,) = await _store(ingest, tenant, (tenant.event(3, name="Stop"), "close"))
    assert used.job is None
    assert stop.job is not None
    assert (stop.job.source_type, stop.job.turn_key) == (SourceType.EVENT_BATCH, "turn-1")
    assert again.job is None, "the waiting batch will read the later events too"


async def test_events_of_one_request_queue_one_batch(ingest: Ingest, tenant: Tenant, store: Database) -> None:
    await _store(
        ingest,
        tenant,
        (tenant.event(1), "content"),
        (tenant.event(2, name="Stop"), "close"),
        (tenant.event(3, name="Stop"), "close"),
    )
    assert await count(store, "observation_generation_jobs") == 1


async def test_a_late_event_of_a_generated_turn_queues_it_again(
    ingest: Ingest, tenant: Tenant, store: Database
) -> None:
    (stop,) = await _store(ingest, tenant, (tenant.event(2, name="Stop"), "close"))
    assert stop.job is not None
    await _finish(store)
    (late,) = await _store(ingest, tenant, (tenant.event(1), "content"))
    assert late.job is not None
    assert late.job.id != stop.job.id


async def test_the_end_of_a_session_closes_only_a_turn_without_a_batch(
    ingest: Ingest, tenant: Tenant, store: Database
) -> None:
    await _store(ingest, tenant, (tenant.event(1, name="Stop"), "close"))
    await _finish(store)
    (ended,) = await _store(ingest, tenant, (tenant.event(2, name="SessionEnd"), "end"))
    assert ended.job is None
    await _store(ingest, tenant, (tenant.event(3, turn="turn-2"), "content"))
    (other,) = await _store(ingest, tenant, (tenant.event(4, name="SessionEnd", turn="turn-2"), "end"))
    assert other.job is not None


async def test_the_end_of_a_session_in_which_nothing_happened_asks_for_nothing(ingest: Ingest, tenant: Tenant) -> None:
    (ended,) = await _store(ingest, tenant, (tenant.event(1, name="SessionEnd"), "end"))
    assert ended.job is None


async def test_the_end_of_a_session_closes_a_turn_that_is_stored_beside_it(ingest: Ingest, tenant: Tenant) -> None:
    _, ended = await _store(ingest, tenant, (tenant.event(1), "content"), (tenant.event(2, name="SessionEnd"), "end"))
    assert ended.job is not None


async def test_of_two_callers_the_second_is_not_told_that_the_event_is_new_when_the_first_has_gone(
    ingest: Ingest, tenant: Tenant
) -> None:
    before = _two_in_flight(ingest, tenant)
    first = asyncio.create_task(_store(ingest, tenant, (tenant.event(), "event")))
    second = asyncio.create_task(_store(ingest, tenant, (tenant.event(), "event")))
    await asyncio.sleep(0)  # all of them have begun, and the last two share the next statement
    first.cancel()
    (stored,) = await second
    await asyncio.gather(*before)
    assert not stored.created
    assert stored.job is not None
    assert stored.job.source_id == stored.event.id


async def test_of_identical_events_in_one_statement_the_first_is_new(ingest: Ingest, tenant: Tenant) -> None:
    before = _two_in_flight(ingest, tenant)
    same = await asyncio.gather(*(_store(ingest, tenant, (tenant.event(), "event")) for _ in range(3)))
    await asyncio.gather(*before)
    assert [stored.created for (stored,) in same] == [True, False, False]


async def test_an_event_that_is_refused_does_not_fail_those_in_its_statement(
    ingest: Ingest, tenant: Tenant, store: Database
) -> None:
    before = _two_in_flight(ingest, tenant)
    gone = replace(tenant.event(1), project_id=ProjectId(new_id()), session_id=None)
    results = await asyncio.gather(
        _store(ingest, tenant, (tenant.event(0), "none")),
        _store(ingest, tenant, (gone, "none")),
        _store(ingest, tenant, (tenant.event(2), "none")),
        return_exceptions=True,
    )
    await asyncio.gather(*before)
    assert [isinstance(result, NotFound) for result in results] == [False, True, False]
    assert await count(store, "agent_events") == 4


async def test_requests_that_share_a_statement_are_audited_each_and_only_for_what_is_new(
    ingest: Ingest, tenant: Tenant, store: Database
) -> None:
    await _store(ingest, tenant, (tenant.event(5), "none"))
    await run_sql(store, "DELETE FROM audit_log")
    before = _two_in_flight(ingest, tenant)
    requests = await asyncio.gather(
        _store(ingest, tenant, (tenant.event(0), "event")),
        _store(ingest, tenant, (tenant.event(1), "event"), (tenant.event(2), "event")),
        _store(ingest, tenant, (tenant.event(5), "event"), (tenant.event(2), "event"), (tenant.event(3), "event")),
        _store(ingest, tenant, (tenant.event(0), "event")),
        _store(ingest, tenant, (tenant.event(5), "none")),
    )
    await asyncio.gather(*before)
    await run_sql(store, "DELETE FROM audit_log WHERE resource_id = ANY ($1)", [_id(await one, 0) for one in before])
    rows = await run_sql(store, "SELECT action, resource_id, details -> 'events' AS events FROM audit_log")
    assert sorted((row["action"], row["resource_id"], row["events"]) for row in rows) == sorted(
        [
            ("event.received", _id(requests[0], 0), 1),
            ("event.batch_received", _id(requests[1], 0), 2),
            ("event.batch_received", _id(requests[2], 2), 1),
        ]
    )


async def test_a_refused_event_takes_its_audit_row_with_it(ingest: Ingest, tenant: Tenant, store: Database) -> None:
    gone = replace(tenant.event(1), project_id=ProjectId(new_id()), session_id=None)
    with pytest.raises(NotFound):
        await _store(ingest, tenant, (tenant.event(0), "event"), (gone, "event"))
    assert [await count(store, table) for table in ("agent_events", "audit_log")] == [0, 0]


async def test_what_was_found_gone_is_not_sent_to_the_store_again(
    tenant: Tenant, store: Database, transport: HeldTransport, clock: FrozenClock
) -> None:
    class Counted(GroupCommit):
        writes = 0

        async def write(self, writes: Sequence[Write]) -> list[Written]:
            self.writes += 1
            return await super().write(writes)

    writer = Counted(store)
    ingest = Ingest(store, Ownership(store), writer, Relay(store, transport), clock)
    await ingest.record(tenant.principal, [tenant.event(0)], generate=True, request_id=None)
    await run_sql(store, "DELETE FROM projects WHERE id = $1", tenant.project.id)
    for number in (1, 2, 3):
        with pytest.raises(NotFound):
            await ingest.record(tenant.principal, [tenant.event(number)], generate=True, request_id=None)
    assert writer.writes == 2, "the first was stored, the second found out, the others were refused at once"


def _id(stored: list[Ingested], position: int) -> str:
    return str(stored[position].event.id)


def _two_in_flight(ingest: Ingest, tenant: Tenant) -> list[asyncio.Task[list[Ingested]]]:
    """Begin as many statements as may be in flight, so that what comes next shares one."""
    return [asyncio.create_task(_store(ingest, tenant, (tenant.event(number), "none"))) for number in (90, 91)]


async def test_new_jobs_are_published_and_replays_are_not(
    ingest: Ingest, tenant: Tenant, transport: HeldTransport
) -> None:
    ingest.relay.start()
    (stored,) = await ingest.record(tenant.principal, [tenant.event()], generate=True, request_id="r")
    await ingest.record(tenant.principal, [tenant.event()], generate=True, request_id="r")
    await ingest.relay.stop(5)
    assert stored.job is not None
    expected = Message(stored.job.id, tenant.principal.team_id, tenant.project.id, stored.job.source_type.lane, 0, "r")
    assert transport.published == [expected]


async def test_with_the_queue_away_an_event_is_still_stored(
    ingest: Ingest, tenant: Tenant, transport: HeldTransport, store: Database
) -> None:
    transport.is_away = True
    ingest.relay.start()
    await ingest.record(tenant.principal, [tenant.event(1)], generate=True, request_id=None)
    await ingest.relay.publish_offered()
    (stored,) = await ingest.record(tenant.principal, [tenant.event(2)], generate=True, request_id=None)
    assert stored.transport == "queued_only"
    transport.is_away = False
    await _age_jobs(store)
    await ingest.relay.sweep()
    await ingest.relay.stop(5)
    assert len({message.job_id for message in transport.published}) == 2


async def _finish(store: Database) -> None:
    await run_sql(store, "UPDATE observation_generation_jobs SET status = 'completed', completed_at = now()")


async def _age_jobs(store: Database) -> None:
    await run_sql(store, "UPDATE observation_generation_jobs SET updated_at = now() - interval '1 minute'")
