"""Postgres goes away under load: the server lives, says so at once, loses nothing that it has taken, and recovers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from server_beta.domain.errors import Unavailable
from server_beta.domain.ids import TeamId, new_id
from server_beta.engines.postgres import EmbeddedPostgres
from server_beta.storage import health
from server_beta.storage.database import Connection, Database
from server_beta.storage.tenants import ensure_team
from tests.support.counting import run_sql
from tests.support.embedded_postgres import postmaster_pid
from tests.support.load import Load
from tests.support.processes import watched_data_dir
from tests.support.server import Server, command
from tests.support.waiting import eventually

OUTAGE_SECONDS = 10.0
PROMISE_SECONDS = 2.0


class Postgres:
    """An external Postgres, durable, which the test takes away and brings back."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._engine = EmbeddedPostgres(data_dir)
        self._stopped: list[int] = []
        self.dsn = ""

    async def start(self) -> None:
        self.dsn = await self._engine.start()

    async def crash(self) -> None:
        """End it as `pg_ctl stop -m immediate` does."""
        os.kill(postmaster_pid(self._data_dir), signal.SIGQUIT)
        await eventually(lambda: not self._engine.is_alive())

    async def hang(self) -> None:
        """Let it take connections and answer nothing."""
        parent = postmaster_pid(self._data_dir)
        # The parent first: it has no more children after that.
        os.kill(parent, signal.SIGSTOP)
        self._stopped = [parent, *_children(parent)]
        for pid in self._stopped:
            os.kill(pid, signal.SIGSTOP)

    async def resume(self) -> None:
        stopped, self._stopped = self._stopped, []
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)

    async def stop(self) -> None:
        await self.resume()
        await self._engine.stop()


def _children(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-Ao", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(pid) for pid, its_parent in map(str.split, listed.splitlines()) if int(its_parent) == parent]


@pytest.fixture
async def postgres(used_data_dir: Path) -> AsyncIterator[Postgres]:
    postgres = Postgres(used_data_dir)
    await postgres.start()
    try:
        yield postgres
    finally:
        await postgres.stop()


@pytest.mark.parametrize("fault", ["crash", "hang"])
async def test_postgres_is_away_for_ten_seconds_under_load(postgres: Postgres, fault: str) -> None:
    take_away, bring_back = {
        "crash": (postgres.crash, postgres.start),
        "hang": (postgres.hang, postgres.resume),
    }[fault]
    settings = {"CLAUDE_MEM_SERVER_DATABASE_URL": postgres.dsn}
    with watched_data_dir() as folder:
        started = command(folder, "start", "--json", **settings)
        assert started.returncode == 0, started.stderr
        told = json.loads(started.stdout)
        server = Server(folder, told["port"])
        project = server.ask("POST", "/v1/projects", {"key": "git:example.org/load", "name": "load"}).body["project"]
        load = Load(server, project["id"])
        async with load.running():
            await eventually(lambda: len(load.acknowledged()) >= 30)
            lost_at = time.monotonic()
            await take_away()
            refused_after = await load.until("/v1/events", 503, lost_at, within=5)
            unready_after = [await load.until(path, 503, lost_at, within=5) for path in ("/readyz", "/api/readiness")]
            await asyncio.sleep(max(0.0, lost_at + OUTAGE_SECONDS - time.monotonic()))
            back_at = time.monotonic()
            await bring_back()
            found_at = time.monotonic()
            ready_after = [await load.until(path, 200, found_at, within=5) for path in ("/readyz", "/api/readiness")]
            taken_after = await load.until("/v1/events", 201, found_at, within=5)
            await asyncio.sleep(1)
        answered = await asyncio.to_thread(_generates, server, project["id"])
        longest = max(one.seconds for one in load.seen)
        assert max(refused_after, *unready_after) < PROMISE_SECONDS
        assert max(taken_after, *ready_after) < PROMISE_SECONDS
        assert longest < PROMISE_SECONDS + 0.5
        during = load.of("/v1/events", lost_at + PROMISE_SECONDS, back_at)
        assert len(during) > 100
        assert {one.status for one in during} == {503}
        assert max(one.seconds for one in during) < 0.5
        assert {one.body["message"] for one in during} == {str(Unavailable())}
        probed = load.of("/readyz", lost_at + PROMISE_SECONDS, back_at)
        assert {one.status for one in probed} == {503}
        assert max(one.seconds for one in probed) < 0.5
        assert {one.status for one in load.seen} == {200, 201, 503}
        assert {one.status for path in ("/healthz", "/v1/info") for one in load.of(path)} == {200}
        assert answered == "completed"
        await _has_everything(postgres.dsn, load.acknowledged())

        await take_away()
        began = time.monotonic()
        stopped = await asyncio.to_thread(command, folder, "stop", **settings)
        assert stopped.returncode == 0, stopped.stderr
        assert time.monotonic() - began < 10
        log = folder.joinpath("logs", "server-beta.log").read_text("utf-8")
        assert "Traceback" not in log


def _generates(server: Server, project_id: str) -> str:
    event = {"projectId": project_id, "sourceType": "api", "eventType": "note", "occurredAtEpoch": 1}
    answer = server.ask("POST", "/v1/events?wait=true", {**event, "payload": {"text": "We decided to ship."}})
    return str(answer.body["generationJob"]["status"])


async def _has_everything(dsn: str, acknowledged: set[str]) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        stored = {str(row["id"]) for row in await connection.fetch("SELECT id FROM agent_events")}
    finally:
        await connection.close()
    assert len(acknowledged) >= 50
    assert acknowledged <= stored


async def test_who_waits_for_a_hung_server_is_told_and_its_connections_are_not_used_again(postgres: Postgres) -> None:
    database = await Database.open(postgres.dsn, most_connections=2)
    try:
        before = await _backends(database)
        await postgres.hang()
        began = time.monotonic()
        # Two of them get a connection, the others wait for one.
        refused = await asyncio.gather(*(_backends(database) for _ in range(5)), return_exceptions=True)
        assert {type(one) for one in refused} == {Unavailable}
        assert time.monotonic() - began < PROMISE_SECONDS
        assert database.is_lost
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await _backends(database)
        assert time.monotonic() - began < 0.1
        await postgres.resume()
        await eventually(lambda: not database.is_lost, within=PROMISE_SECONDS)
        assert not before & await _backends(database)
    finally:
        await database.close(5)


async def test_a_server_that_works_on_a_long_statement_is_not_lost(store: Database) -> None:
    assert await run_sql(store, "SELECT pg_sleep(2.5)")
    assert not store.is_lost


async def test_a_server_that_answers_somebody_is_not_lost_though_it_leaves_the_pulse_waiting(
    store: Database, database: str
) -> None:
    pulse = await _pulse_of(store)
    os.kill(pulse, signal.SIGSTOP)
    try:
        for _ in range(30):
            await run_sql(store, "SELECT pg_sleep(0.1)")
        assert not store.is_lost
    finally:
        os.kill(pulse, signal.SIGCONT)


async def test_a_pulse_that_loses_its_connection_gets_another(store: Database) -> None:
    pulse = await _pulse_of(store)
    await run_sql(store, "SELECT pg_terminate_backend($1::integer, 5000)", pulse)
    assert await _pulse_of(store) != pulse
    assert not store.is_lost


async def _write(connection: Connection) -> None:
    await ensure_team(connection, TeamId(new_id()), "writes")


@pytest.mark.parametrize("ask", [_write, health.schema_version])
async def test_a_session_that_takes_no_writes_is_given_up(
    store: Database, ask: Callable[[Connection], Awaitable[object]]
) -> None:
    """One that was made while the database took none, or leads to a former primary, would go on like that for ever."""
    await run_sql(store, "SELECT set_config('default_transaction_read_only', 'on', false)")
    with pytest.raises(Unavailable):
        async with store.connection() as connection:
            await ask(connection)
    async with store.connection() as connection:
        await ask(connection)


async def test_an_argument_that_does_not_fit_is_no_outage(store: Database) -> None:
    with pytest.raises(asyncpg.DataError):
        await run_sql(store, "SELECT $1::integer", "text")
    with pytest.raises(asyncpg.InterfaceError):
        await run_sql(store, "SELECT 1", "one too many")


async def _backends(database: Database) -> set[object]:
    rows = await run_sql(database, "SELECT pg_backend_pid() AS pid, pg_sleep(0.01)")
    return {row["pid"] for row in rows}


async def _pulse_of(database: Database) -> int:
    async def found() -> list[dict[str, object]]:
        return await run_sql(
            database,
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'claude-mem pulse' "
            "AND datname = current_database()",
        )

    return int(str((await eventually(found))[0]["pid"]))
