"""What ends a stream and what does not: keys, limits, readers that do not read, servers and databases that stop."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server_beta.storage.database import Database
from tests.support.counting import run_sql
from tests.support.processes import watched_data_dir
from tests.support.server import running_server, turn
from tests.support.streams import Node, make_key, node, observe
from tests.support.tenants import Tenant, make_tenant
from tests.support.waiting import eventually

_LISTENERS = "datname = current_database() AND application_name = 'claude-mem listener'"


@pytest.fixture
async def server(database: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with node(database, tmp_path) as running:
        await eventually(lambda: running.broadcaster.is_listening)
        yield running


@pytest.fixture
async def key(store: Database, tenant: Tenant) -> str:
    return await make_key(store, tenant)


@pytest.mark.parametrize("end", ["revoked_at = now()", "expires_at = now()"])
async def test_a_key_that_ends_ends_its_streams_and_no_others(
    server: Node, key: str, store: Database, tenant: Tenant, end: str
) -> None:
    other = await make_key(store, tenant)
    async with server.stream(other) as stays, server.stream(key) as stream:
        await run_sql(
            store,
            f"UPDATE api_keys SET {end} WHERE id = (SELECT id FROM api_keys ORDER BY created_at, id LIMIT 1)",
        )
        began = time.monotonic()
        assert await stream.is_over()
        assert time.monotonic() - began < 2
        await observe(store, tenant, "still here")
        assert (await stays.next()).title == "still here"
    async with server.opened(key) as response:
        assert response.status == 403


async def test_a_key_that_expires_while_its_stream_is_quiet_ends_it(
    server: Node, store: Database, tenant: Tenant
) -> None:
    short = await make_key(store, tenant, expires_at=datetime.now(UTC) + timedelta(seconds=1))
    async with server.stream(short) as stream:
        assert await stream.is_over(within=3)


async def test_a_deleted_team_ends_its_streams(server: Node, key: str, store: Database) -> None:
    async with server.stream(key) as stream:
        await run_sql(store, "DELETE FROM teams")
        assert await stream.is_over(within=3)


async def test_streams_are_limited_a_key_and_altogether(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    server.broadcaster._most_of_a_key, server.broadcaster._most = 2, 3
    other, third = await make_key(store, tenant), await make_key(store, tenant)
    async with server.stream(key), server.stream(key):
        async with server.opened(key) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "5")
        async with server.stream(other), server.opened(third) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "2")
    await eventually(lambda: server.broadcaster.subscribers == 0)
    async with server.stream(key) as stream:
        await observe(store, tenant, "again")
        assert (await stream.next()).title == "again"


async def test_no_team_takes_the_streams_of_the_others_with_many_keys(
    server: Node, store: Database, tenant: Tenant
) -> None:
    server.broadcaster._most_of_a_team, server.broadcaster._most = 2, 3
    of_others = await make_key(store, await make_tenant(store, "another"))
    first, second, third = [await make_key(store, tenant) for _ in range(3)]
    async with server.stream(first), server.stream(second):
        async with server.opened(third) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "5")
        async with server.stream(of_others):
            assert server.broadcaster.subscribers == 3
    await eventually(lambda: server.broadcaster.subscribers == 0)
    async with server.stream(third):
        assert server.broadcaster.subscribers == 1


async def test_a_client_that_goes_away_leaves_nothing_behind(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    await observe(store, tenant, "before")
    tasks = len(asyncio.all_tasks())
    for _ in range(3):
        async with server.stream(key):
            assert server.broadcaster.subscribers == 1
        await eventually(lambda: server.broadcaster.subscribers == 0, within=3)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    assert not server.broadcaster._subscriptions
    assert not server.broadcaster._of_keys
    assert not server.broadcaster._of_teams


async def _silent_reader(server: Node, key: str) -> socket.socket:
    """Open a stream over a socket with little room, and read nothing of it but its head."""
    address = urlsplit(server.url)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(reader, (address.hostname, address.port))
    request = f"GET /v1/stream HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {key}\r\n\r\n"
    await loop.sock_sendall(reader, request.encode())
    assert b"200 OK" in await loop.sock_recv(reader, 1024)
    return reader


async def test_who_does_not_read_is_cut_off_and_slows_nobody(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    server.broadcaster.patience = timedelta(seconds=1)
    async with server.stream(key) as stream:
        silent = await _silent_reader(server, key)
        await eventually(lambda: server.broadcaster.subscribers == 2)
        total = 0

        async def write() -> None:
            for _ in range(300):
                await observe(store, tenant, "big", size=10_000)

        writing = asyncio.create_task(write())
        for _ in range(300):
            assert (await stream.next(within=2)).title == "big"
            # For a reader that does not read, no more is held than the ids of one look.
            total = max(total, *(len(one._entries) for one in server.broadcaster._subscriptions))
        await writing
        assert total <= 300
        await eventually(lambda: server.broadcaster.subscribers == 1)
        # What it did not read is not kept for it either.
        connections = server.server.http._runner.server
        assert connections is not None
        await eventually(lambda: len(connections.connections) == 1)
        silent.close()


async def test_a_reader_behind_thousands_of_changes_holds_no_more_than_a_gap(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    server.broadcaster.patience = timedelta(seconds=1)
    silent = await _silent_reader(server, key)
    await eventually(lambda: server.broadcaster.subscribers == 1)
    (subscription,) = server.broadcaster._subscriptions
    for _ in range(5):
        await run_sql(
            store,
            "INSERT INTO observations (id, project_id, team_id, kind, title, content, narrative) SELECT "
            "gen_random_uuid(), $1, $2, 'change', 't', 't', repeat('x', 5000) FROM generate_series(1, 999)",
            tenant.project.id,
            tenant.principal.team_id,
        )
        assert len(subscription._entries) < 1_000
    await eventually(lambda: server.broadcaster.subscribers == 0)
    silent.close()


async def test_a_stop_ends_streams_at_once_even_those_that_nobody_reads(
    database: str, tmp_path: Path, key: str, store: Database, tenant: Tenant
) -> None:
    async with node(database, tmp_path) as running:
        async with running.stream(key) as stream:
            silent = await _silent_reader(running, key)
            await eventually(lambda: running.broadcaster.subscribers == 2)
            for _ in range(100):
                await observe(store, tenant, "big", size=20_000)
            await stream.take(100)
            running.broadcaster.close()
            began = time.monotonic()
            await running.server.http.stop(timedelta(seconds=4))
            assert time.monotonic() - began < 1
            assert await stream.is_over()
        silent.close()


async def test_what_one_process_generates_is_sent_by_another(server: Node, database: str) -> None:
    with watched_data_dir() as folder, running_server(folder, CLAUDE_MEM_SERVER_DATABASE_URL=database) as other:
        async with server.stream(other.key) as stream:
            for name, body in turn():
                assert (await asyncio.to_thread(other.hook, name, body)).status == 201
            names = [(await stream.next(15)).name]
            while names[-1] != "summary.created":
                names.append((await stream.next(15)).name)
    assert names[0] == "session.started"
    assert names.index("job.completed") < names.index("observation.created") < names.index("summary.created")


async def test_a_change_is_heard_of_at_once(server: Node, key: str, store: Database, tenant: Tenant) -> None:
    async with server.stream(key) as stream:
        await stream.says_nothing()
        began = time.monotonic()
        await observe(store, tenant, "now")
        assert (await stream.next()).title == "now"
        assert time.monotonic() - began < 0.5


async def test_a_listener_that_is_cut_off_comes_back_and_nothing_was_missed(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    async with server.stream(key) as stream:
        for number in range(3):
            await run_sql(store, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_LISTENERS}")
            await eventually(lambda: not server.broadcaster.is_listening)
            await observe(store, tenant, f"{number} unheard")
            assert (await stream.next(within=3)).title == f"{number} unheard"
            await eventually(lambda: server.broadcaster.is_listening)
            await observe(store, tenant, f"{number} heard")
            assert (await stream.next(within=1)).title == f"{number} heard"


async def test_a_change_that_nobody_announced_is_found_by_looking(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    async with server.stream(key) as stream:
        await run_sql(
            store,
            "INSERT INTO changes (project_id, team_id, kind, subject_id) VALUES ($1, $2, 'session.started', $3)",
            tenant.project.id,
            tenant.principal.team_id,
            tenant.session_id,
        )
        assert (await stream.next(within=8)).name == "session.started"


async def test_what_a_stranger_says_on_the_channel_is_ignored(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    async with server.stream(key) as stream:
        for payload in ("", "x", "a b", f"{tenant.principal.team_id} x job.completed y", "  job.failed z", "x" * 7000):
            await run_sql(store, "SELECT pg_notify('claude_mem_changes', $1)", payload)
        await observe(store, tenant, "real")
        assert (await stream.next()).title == "real"
    assert server.broadcaster.is_listening


async def _boundary(server: Node, key: str) -> dict[str, object]:
    async with server.opened(key, path="/v1/info") as response:
        boundary: dict[str, object] = (await response.json())["boundaries"]["eventBroadcaster"]
        return boundary


async def test_info_tells_whether_changes_are_heard_of(server: Node, key: str) -> None:
    async with server.stream(key):
        assert await _boundary(server, key) == {
            "status": "active",
            "reason": "hears of changes and sends them on /v1/stream",
            "details": {"subscribers": 1},
        }
        await server.listener.stop()
        degraded = await _boundary(server, key)
        assert (degraded["status"], degraded["details"]) == ("degraded", {"subscribers": 1})


async def test_info_tells_that_the_database_is_away(server: Node, key: str) -> None:
    await server.server.broadcaster._database.close(1)
    assert (await _boundary(server, key))["status"] == "errored"


async def test_a_stream_outlives_a_database_that_goes_away(
    server: Node, key: str, store: Database, tenant: Tenant
) -> None:
    server.broadcaster.heartbeat = timedelta(milliseconds=100)
    async with server.stream(key) as stream:
        await observe(store, tenant, "before")
        assert (await stream.next()).title == "before"
        await run_sql(
            store,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        await observe(store, tenant, "after")
        assert (await stream.next()).title == "after"
