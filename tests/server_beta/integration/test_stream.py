"""`/v1/stream`: what is sent and to whom, and that nothing is lost or doubled when a client comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from server_beta.domain.changes import MOST_RUNNING, Position
from server_beta.domain.ids import ProjectId, new_id
from server_beta.domain.jobs import SourceType
from server_beta.domain.observations import Draft
from server_beta.domain.ports import Retryable, Unusable
from server_beta.services.subscription import MOST_BEHIND
from server_beta.storage import changes, sessions, tenants
from server_beta.storage.database import Database
from tests.support.chain import Chain, titled
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.streams import Event, Node, Stream, make_key, node, observe, observe_in
from tests.support.tenants import Tenant, make_tenant


@pytest.fixture
async def server(database: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with node(database, tmp_path) as running:
        yield running


@pytest.fixture
async def key(store: Database, tenant: Tenant) -> str:
    return await make_key(store, tenant)


def _titles(events: list[Event]) -> list[object]:
    return [event.title for event in events]


async def test_an_observation_is_sent_as_the_api_shows_it(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    async with server.stream(key) as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-store"
        assert stream.lines[0] == "retry: 2000"
        stored = await observe(store, tenant, "first")
        event = await stream.next()
    assert event.name == "observation.created"
    async with server.opened(key, path=f"/v1/observations/{stored.id}") as response:
        assert event.data == (await response.json())["observation"]


async def test_every_kind_of_change_is_sent(
    server: Node, key: str, store: Database, tenant: Tenant, chain: Chain
) -> None:
    async with server.stream(key) as stream:
        batch = await chain.turn("PostToolUse", "Stop")
        generate = chain.generate(ScriptedProvider(titled("one"), Unusable("no")))
        await generate.run(batch)
        events = await stream.take(2)
        assert [event.name for event in events] == ["job.completed", "observation.created"]
        assert events[0].data["status"] == "completed"
        await generate.run(await chain.waiting(SourceType.SESSION_SUMMARY))
        assert [event.name for event in await stream.take(2)] == ["job.completed", "summary.created"]

        await generate.run(await chain.turn("PostToolUse", "Stop", turn="turn-2", begin=5))
        failed = await stream.next()
        assert (failed.name, failed.data["lastError"]) == ("job.failed", "no")

        async with store.connection() as connection:
            await sessions.end(connection, tenant.principal.team_id, tenant.project.id, tenant.session_id)
            await sessions.end(connection, tenant.principal.team_id, tenant.project.id, tenant.session_id)
        ended = await stream.next()
        assert (ended.name, ended.data["id"]) == ("session.ended", str(tenant.session_id))

        await run_sql(store, "UPDATE observations SET title = 'two' WHERE title = 'one'")
        updated = await stream.next()
        assert (updated.name, updated.title) == ("observation.updated", "two")
        await run_sql(store, "UPDATE observations SET updated_at = now()")
        await run_sql(store, "DELETE FROM observations WHERE kind <> 'summary'")
        deleted = await stream.next()
        assert deleted.name == "observation.deleted"
        assert deleted.data == {
            "id": updated.data["id"],
            "projectId": str(tenant.project.id),
            "teamId": str(tenant.principal.team_id),
        }
        other = await make_tenant(store, "other")
        assert await stream.says_nothing(), other


async def test_a_job_that_is_tried_again_is_not_over(server: Node, key: str, chain: Chain) -> None:
    async with server.stream(key) as stream:
        await chain.generate(ScriptedProvider(Retryable("later"))).run(await chain.turn("PostToolUse", "Stop"))
        assert await stream.says_nothing()


async def test_recording_events_changes_nothing_that_is_sent(store: Database, chain: Chain) -> None:
    before = await count(store, "changes")
    await chain.turn("UserPromptSubmit", "PostToolUse", "Stop")
    assert await count(store, "changes") == before


async def test_jobs_are_for_those_who_may_read_jobs(
    server: Node, store: Database, tenant: Tenant, chain: Chain
) -> None:
    reader = await make_key(store, tenant, "observations:read")
    async with server.stream(reader) as stream:
        await chain.generate(ScriptedProvider(titled("one"))).run(await chain.turn("PostToolUse", "Stop"))
        assert (await stream.next()).name == "observation.created"


async def test_the_stream_goes_on_behind_the_last_event(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    async with server.stream(key) as stream:
        await observe(store, tenant, "seen")
        seen = await stream.next()
    for number in range(40):
        await observe(store, tenant, f"missed {number}")
    async with server.stream(key, seen.id) as stream:
        missed = await stream.take(40)
        assert _titles(missed) == [f"missed {number}" for number in range(40)]
        await observe(store, tenant, "live")
        assert (await stream.next()).title == "live"
    async with server.stream(key, missed[16].id) as stream:
        assert _titles(await stream.take(24)) == [*(f"missed {number}" for number in range(17, 40)), "live"]
        assert await stream.says_nothing()


async def test_a_client_that_saw_no_event_knows_where_it_began(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    async with server.stream(key) as stream:
        began = stream.last_id
    await observe(store, tenant, "missed")
    async with server.stream(key, began) as stream:
        assert (await stream.next()).title == "missed"


async def test_what_is_written_first_and_committed_last_is_neither_lost_nor_doubled(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    team, project = tenant.principal.team_id, tenant.project.id
    async with server.stream(key) as stream:
        async with store.transaction() as slow:
            await observe_in(slow, team, project, Draft("change", "slow"))
            await observe(store, tenant, "quick")
            quick = await stream.next()
            assert quick.title == "quick"
            assert await stream.says_nothing()
        assert (await stream.next()).title == "slow"
        await observe(store, tenant, "last")
        assert (await stream.next()).title == "last"
    async with server.stream(key, quick.id) as again:
        assert _titles(await again.take(2)) == ["slow", "last"]
        assert await again.says_nothing()


async def test_many_writers_and_a_reader_that_comes_and_goes(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    chance = random.Random(7)
    team, project = tenant.principal.team_id, tenant.project.id

    async def write(writer: int) -> None:
        for number in range(12):
            async with store.transaction() as connection:
                await observe_in(connection, team, project, Draft("change", f"{writer}-{number}-a"))
                await asyncio.sleep(chance.random() / 100)
                await observe_in(connection, team, project, Draft("change", f"{writer}-{number}-b"))

    seen: list[object] = []
    last_id = await _position(server, key)
    writers = [asyncio.create_task(write(writer)) for writer in range(6)]
    while len(seen) < 6 * 12 * 2:
        async with server.stream(key, last_id) as stream:
            for event in await stream.take(min(chance.randint(1, 20), 144 - len(seen))):
                seen.append(event.title)
                last_id = event.id
    await asyncio.gather(*writers)
    assert sorted(map(str, seen)) == sorted(f"{w}-{n}-{part}" for w in range(6) for n in range(12) for part in "ab")
    for writer in range(6):
        own = [title for title in seen if str(title).startswith(f"{writer}-")]
        assert own == [f"{writer}-{number}-{part}" for number in range(12) for part in "ab"]
    async with server.stream(key, last_id) as stream:
        assert await stream.says_nothing()


async def _position(server: Node, key: str) -> str:
    async with server.stream(key) as stream:
        return stream.last_id


async def test_more_open_transactions_than_a_position_lists_delay_and_lose_nothing(
    server: Node, key: str, store: Database, tenant: Tenant, database: str
) -> None:
    many = await Database.open(database, most_connections=MOST_RUNNING + 4)
    team, project = tenant.principal.team_id, tenant.project.id
    began = await _position(server, key)
    opened = [many.transaction() for _ in range(MOST_RUNNING + 3)]
    try:
        for number, transaction in enumerate(opened):
            await observe_in(await transaction.__aenter__(), team, project, Draft("change", f"{number}"))
        await observe(store, tenant, "quick")
        async with store.connection() as connection:
            assert len((await changes.now(connection)).seen.running) == MOST_RUNNING
        async with server.stream(key, began) as stream:
            assert await stream.says_nothing()
            for transaction in opened:
                await transaction.__aexit__(None, None, None)
            await observe(store, tenant, "last")
            titles = _titles(await stream.take(MOST_RUNNING + 5))
            assert sorted(map(str, titles)) == sorted([*map(str, range(MOST_RUNNING + 3)), "quick", "last"])
            assert await stream.says_nothing()
    finally:
        await many.close(5)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "17",
            "x",
            "0-0:0:",
            "1-5:4:",
            "1-5:6:6",
            "1-5:9:7,6",
            "1-5:9:7,7",
            "1-5:9:4",
            "1-5:6:-5:6:",
            "1-5:6:-5:6:-x",
        ),
        *("1-5:6:,", "1-5:99999999999999999999:", "1-5:9223372036854775808:", "٣-5:6:", "1-" + "5" * 5000),
        "1-5:99:" + ",".join(map(str, range(5, 5 + MOST_RUNNING + 1))),
    ],
)
async def test_an_id_that_no_event_had_is_refused(server: Node, key: str, text: str) -> None:
    async with server.opened(key, text) as response:
        assert response.status == 400
        assert (await response.json())["issues"][0]["path"] == "$.Last-Event-ID"


async def test_who_is_too_far_behind_is_told_so_and_goes_on(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    began = await _position(server, key)
    await run_sql(store, _MANY, tenant.project.id, tenant.principal.team_id, MOST_BEHIND)
    async with server.stream(key, began) as stream:
        assert (await stream.take(MOST_BEHIND))[-1].title == str(MOST_BEHIND)
    await observe(store, tenant, "one more")
    async with server.stream(key, began) as stream:
        await _goes_on_after_a_gap(stream, store, tenant)


_MANY = (
    "INSERT INTO observations (id, project_id, team_id, kind, title, content) "
    "SELECT gen_random_uuid(), $1, $2, 'change', number::text, number::text "
    "FROM generate_series(1, $3::integer) AS number"
)


@pytest.mark.parametrize("far", [{"at": -90_000}, {"lowest": 10**9}])
async def test_an_id_that_is_too_old_or_of_another_database_is_told_so(
    server: Node, key: str, store: Database, tenant: Tenant, far: dict[str, int]
) -> None:
    position = Position.parse(await _position(server, key))
    lowest = position.seen.lowest + far.get("lowest", 0)
    text = f"{position.at + far.get('at', 0)}-{lowest}:{max(lowest, position.seen.next)}:"
    async with server.stream(key, text) as stream:
        await _goes_on_after_a_gap(stream, store, tenant)


async def _goes_on_after_a_gap(stream: Stream, store: Database, tenant: Tenant) -> None:
    gap = await stream.next()
    assert gap.name == "gap"
    assert "read the lists anew" in gap.data["reason"]
    await observe(store, tenant, "live")
    live = await stream.next()
    assert (live.title, live.id != gap.id) == ("live", True)


async def test_what_nobody_may_ask_for_any_more_is_forgotten(server: Node, store: Database, tenant: Tenant) -> None:
    await observe(store, tenant, "old")
    await observe(store, tenant, "new")
    await run_sql(
        store, "UPDATE changes SET created_at = now() - interval '26 hours' WHERE seq < (SELECT max(seq) FROM changes)"
    )
    await server.broadcaster.prune()
    assert await count(store, "changes") == 1


async def test_another_tenants_changes_are_never_sent(server: Node, key: str, store: Database, tenant: Tenant) -> None:
    foreign = await make_tenant(store, "foreign")
    began = await _position(server, key)
    async with server.stream(key) as stream:
        await observe(store, foreign, "theirs")
        await run_sql(store, "DELETE FROM observations WHERE title = 'theirs'")
        await observe(store, foreign, "theirs as well")
        await observe(store, tenant, "ours")
        assert (await stream.next()).title == "ours"
    async with server.stream(key, began) as stream:
        assert (await stream.next()).title == "ours"
        assert await stream.says_nothing()


async def test_a_stream_is_of_one_project_where_the_key_or_the_query_says_so(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    team = tenant.principal.team_id
    async with store.connection() as connection:
        other, _ = await tenants.find_or_create_project(connection, team, "git:example.org/other", "other")
    own = await make_key(store, tenant, project_id=tenant.project.id)
    async with server.stream(own) as by_key, server.stream(key, query=f"?projectId={tenant.project.id}") as by_query:
        async with store.transaction() as connection:
            await observe_in(connection, team, other.id, Draft("change", "other"))
        await observe(store, tenant, "own")
        for stream in (by_key, by_query):
            assert (await stream.next()).title == "own"
    assert await _status(server, own, f"?projectId={other.id}") == 404


async def _status(server: Node, key: str | None, query: str = "") -> int:
    async with server.opened(key, query=query) as response:
        return response.status


async def test_who_may_not_read_is_refused(server: Node, key: str, store: Database, tenant: Tenant) -> None:
    foreign = await make_tenant(store, "foreign")
    assert await _status(server, None) == 401
    assert await _status(server, await make_key(store, tenant, "events:write")) == 403
    assert await _status(server, key, f"?projectId={foreign.project.id}") == 404
    assert await _status(server, key, f"?projectId={ProjectId(new_id())}") == 404
    for query in ("?projectId=x", "?projectId=", "?project=x", f"?projectId={new_id()}&projectId={new_id()}"):
        assert await _status(server, key, query) == 400
    assert server.broadcaster.subscribers == 0


async def test_a_deleted_project_takes_its_changes_along(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    async with server.stream(key) as stream:
        await observe(store, tenant, "gone soon")
        assert (await stream.next()).title == "gone soon"
        await run_sql(store, "DELETE FROM projects")
        assert await stream.says_nothing()
    assert await count(store, "changes") == 0


async def test_a_quiet_stream_is_kept_alive(server: Node, key: str) -> None:
    server.broadcaster.heartbeat = timedelta(milliseconds=50)
    async with server.stream(key) as stream:
        began = stream.last_id
        assert await stream.says_nothing()
        assert stream.lines.count(": ") >= 2
        assert Position.parse(stream.last_id).seen == Position.parse(began).seen


async def test_an_observation_that_two_statements_touch_is_shown_as_it_is_now(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    began = await _position(server, key)
    await observe(store, tenant, "short-lived")
    await observe(store, tenant, "kept")
    await run_sql(store, "DELETE FROM observations WHERE title = 'short-lived'")
    async with server.stream(key, began) as stream:
        assert [event.name for event in await stream.take(2)] == ["observation.created", "observation.deleted"]
        assert await stream.says_nothing()
