"""What is left after a crash: of the server, of its Postgres, of both."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from server_beta.domain.errors import EngineFailed
from server_beta.engines import launch, postgres
from server_beta.engines.accounts import Account
from server_beta.engines.postgres import EmbeddedPostgres
from server_beta.engines.processes import Identity, children_of, spawn, start_token
from tests.support.embedded_postgres import fetch, postmaster_pid, running_server
from tests.support.processes import assert_no_process, processes_of, running_python
from tests.support.server import command
from tests.support.waiting import eventually, eventually_sync


@pytest.fixture
def bystander(used_data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that has nothing to do with us, of the account that the server runs under."""
    owner = (used_data_dir / "postgres" / "cluster").stat().st_uid
    user = None if owner == os.geteuid() else owner
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=user, cwd="/") as process:
        yield process
        process.kill()


async def assert_starts(data_dir: Path, query: str = "SELECT 'still here'") -> None:
    engine = EmbeddedPostgres(data_dir)
    try:
        assert await fetch(await engine.start(), query) == "still here"
    finally:
        await engine.stop()


def is_sleeping(pid: int) -> bool:
    shown = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return "sleep" in shown.stdout


def unfinished(data_dir: Path) -> list[Path]:
    return list(data_dir.glob("postgres/new-*"))


async def test_postgres_ends_with_a_killed_server_and_has_everything_at_the_next_start(used_data_dir: Path) -> None:
    with running_server(used_data_dir) as (program, dsn):
        await fetch(dsn, "CREATE TABLE kept AS SELECT 'still here' AS it")
        program.kill()
        program.wait()
    # Nobody but the kernel tells it (Linux); the next start finds and ends it everywhere.
    if sys.platform == "linux":
        assert_no_process(used_data_dir)
    await assert_starts(used_data_dir, "SELECT it FROM kept")


async def test_a_start_right_after_the_kill_does_not_wait_for_the_old_server(used_data_dir: Path) -> None:
    with running_server(used_data_dir) as (program, dsn):
        await fetch(dsn, "CREATE TABLE kept AS SELECT 'still here' AS it")
        program.kill()
        await assert_starts(used_data_dir, "SELECT it FROM kept")


async def test_a_postgres_that_outlived_its_server_is_shut_down_first(used_data_dir: Path) -> None:
    outlived = EmbeddedPostgres(used_data_dir)
    dsn = await outlived.start()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 'still here' AS it")
    old = postmaster_pid(used_data_dir)

    successor = EmbeddedPostgres(used_data_dir)
    try:
        dsn = await successor.start()
        assert postmaster_pid(used_data_dir) != old
        assert not outlived.is_alive()
        assert await fetch(dsn, "SELECT it FROM kept") == "still here"
        assert connection.is_closed()
    finally:
        await successor.stop()
        await outlived.stop()


async def test_a_killed_postgres_recovers_though_its_children_were_at_work(used_data_dir: Path) -> None:
    engine = EmbeddedPostgres(used_data_dir)
    dsn = await engine.start()
    await fetch(dsn, "CREATE TABLE kept AS SELECT 'still here' AS it")
    connection = await asyncpg.connect(dsn)
    child = await connection.fetchval("SELECT pg_backend_pid()")
    # A stopped child keeps the shared memory: two servers at once are what must not happen.
    os.kill(child, signal.SIGSTOP)
    os.kill(postmaster_pid(used_data_dir), signal.SIGKILL)
    await eventually(lambda: not engine.is_alive())
    try:
        starting = asyncio.create_task(engine.start())
        log = used_data_dir / "postgres" / "postgres.log"
        await eventually(lambda: "pre-existing shared memory block" in log.read_text() or starting.done())
        assert not starting.done()
        os.kill(child, signal.SIGCONT)
        assert await fetch(await starting, "SELECT it FROM kept") == "still here"
    finally:
        connection.terminate()
        await engine.stop()


async def test_a_stale_file_that_names_a_strangers_process_is_set_aside_and_the_process_left_alone(
    used_data_dir: Path, bystander: subprocess.Popen[bytes]
) -> None:
    home = used_data_dir / "postgres"
    stale = f"{bystander.pid}\n{home / 'cluster'}\n1\n5432\n{home / 'socket'}\n\n  1  1\nready   \n"
    (home / "cluster" / "postmaster.pid").write_text(stale)
    (home / "socket" / ".s.PGSQL.5432.lock").write_text(stale)
    Identity(bystander.pid, "another boot:1").save(home / "process.json")

    await assert_starts(used_data_dir)

    assert bystander.poll() is None


async def test_somebody_elses_postgres_on_the_cluster_is_named_and_left_alone(
    used_data_dir: Path, bystander: subprocess.Popen[bytes]
) -> None:
    home = used_data_dir / "postgres"
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(used_data_dir / ".s.PGSQL.5433"))
        theirs.listen()
        written = f"{bystander.pid}\n{home / 'cluster'}\n1\n5433\n{used_data_dir}\n\n  1  1\nready   \n"
        (home / "cluster" / "postmaster.pid").write_text(written)
        with pytest.raises(EngineFailed, match=f"process {bystander.pid}"):
            await EmbeddedPostgres(used_data_dir).start()
    assert bystander.poll() is None
    assert (home / "cluster" / "postmaster.pid").read_text() == written


@pytest.mark.parametrize(
    "record", ["", "{}", "[1]", '{"pid": "x", "startToken": ""}', '{"pid": 1, "startToken": null}']
)
async def test_a_record_that_cannot_be_read_is_no_proof_of_anything(used_data_dir: Path, record: str) -> None:
    (used_data_dir / "postgres" / "process.json").write_text(record)
    await assert_starts(used_data_dir)


def test_a_process_is_recognised_by_its_start_and_not_by_its_number(bystander: subprocess.Popen[bytes]) -> None:
    token = start_token(bystander.pid)
    assert token is not None
    assert Identity(bystander.pid, token).is_alive()
    assert not Identity(bystander.pid, token + "0").is_alive()
    bystander.kill()
    eventually_sync(lambda: not Identity(bystander.pid, token).is_alive())


def test_nothing_is_launched_for_a_server_that_has_ended(data_dir: Path) -> None:
    made = data_dir / "made"
    command = [sys.executable, "-I", "-S", str(launch.__file__), "-", "-", "-", "/usr/bin/touch", str(made)]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 0
    assert not made.exists()
    subprocess.run(command, input=b"\n", check=True)
    assert made.exists()


def test_what_is_launched_by_a_deaf_server_can_be_ended(data_dir: Path) -> None:
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        for number in numbers:
            with (data_dir / "log").open("wb") as log:
                process = spawn(["/bin/sleep", "60"], Account(os.geteuid(), os.getegid()), log.fileno())
            eventually_sync(partial(is_sleeping, process.pid))
            process.send_signal(number)
            assert process.wait(5) == -number
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


async def test_a_server_killed_while_it_makes_the_cluster_starts_anew(data_dir: Path) -> None:
    with running_python(["-m", "tests.support.embedded_postgres"], data_dir) as program:
        await eventually(lambda: list(data_dir.glob("postgres/new-*/cluster/base")))
        program.kill()
        program.wait()
    assert unfinished(data_dir)
    await assert_starts(data_dir)
    assert not unfinished(data_dir)
    assert not processes_of(data_dir)


async def test_a_ctrl_c_in_our_terminal_does_not_reach_it(used_data_dir: Path) -> None:
    engine = EmbeddedPostgres(used_data_dir)
    await engine.start()
    try:
        assert os.getsid(postmaster_pid(used_data_dir)) != os.getsid(0)
    finally:
        await engine.stop()


async def test_the_record_names_the_server(used_data_dir: Path) -> None:
    engine = EmbeddedPostgres(used_data_dir)
    await engine.start()
    try:
        record = json.loads((used_data_dir / "postgres" / "process.json").read_text())
        assert record == {
            "pid": postmaster_pid(used_data_dir),
            "startToken": start_token(postmaster_pid(used_data_dir)),
        }
    finally:
        await engine.stop()


async def test_a_postgres_that_ends_by_itself_is_started_again_under_the_same_dsn(used_data_dir: Path) -> None:
    engine = EmbeddedPostgres(used_data_dir)
    dsn = await engine.start()
    keeping = asyncio.create_task(engine.keep_alive())
    try:
        await fetch(dsn, "CREATE TABLE kept AS SELECT 'still here' AS it")
        killed = postmaster_pid(used_data_dir)
        os.kill(killed, signal.SIGKILL)

        async def is_back() -> bool:
            try:
                return await fetch(dsn, "SELECT it FROM kept") == "still here"
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False

        await eventually(lambda: not engine.is_alive())
        await eventually(is_back, within=20)
        assert postmaster_pid(used_data_dir) != killed
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await engine.stop()


def halt(data_dir: Path) -> list[int]:
    """Stop Postgres and all its children, as a debugger would; returns them."""
    server = postmaster_pid(data_dir)
    # The server first: it would wake its children.
    pids = [server, *(child.pid for child in children_of(server))]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


async def test_a_postgres_that_hangs_is_started_again_under_the_same_dsn(
    used_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_ASK_SECONDS", 0.2)
    monkeypatch.setattr(postgres, "_SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(postgres, "_LAST_SILENCE_SECONDS", 0.5)
    engine = EmbeddedPostgres(used_data_dir)
    dsn = await engine.start()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 'still here' AS it")
    keeping = asyncio.create_task(engine.keep_alive())
    try:
        hung = halt(used_data_dir)
        assert len(hung) > 3

        async def is_back() -> bool:
            try:
                async with asyncio.timeout(1):
                    return await fetch(dsn, "SELECT it FROM kept") == "still here"
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False

        await eventually(is_back, within=20)
        assert not {one.pid for one in processes_of(used_data_dir)} & set(hung)
        restarted = postmaster_pid(used_data_dir)
        # One that answers is left alone, however long it has been running.
        seen_at = asyncio.get_running_loop().time()
        await eventually(lambda: asyncio.get_running_loop().time() > seen_at + 3)
        assert postmaster_pid(used_data_dir) == restarted
    finally:
        connection.terminate()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await engine.stop()


@pytest.mark.parametrize("whole", [True, False], ids=["all of it", "one child"])
async def test_a_postgres_that_hangs_is_stopped_in_time(used_data_dir: Path, whole: bool) -> None:
    engine = EmbeddedPostgres(used_data_dir)
    connection = await asyncpg.connect(await engine.start())
    if whole:
        halt(used_data_dir)
    else:
        os.kill(await connection.fetchval("SELECT pg_backend_pid()"), signal.SIGSTOP)
    began = asyncio.get_running_loop().time()
    await engine.stop()
    assert asyncio.get_running_loop().time() < began + (4 if whole else 9)
    assert not processes_of(used_data_dir)
    connection.terminate()
    await assert_starts(used_data_dir)


def test_a_server_whose_postgres_hangs_stops_in_time(used_data_dir: Path) -> None:
    settings = {"CLAUDE_MEM_SERVER_PORT": "0"}
    assert command(used_data_dir, "start", **settings).returncode == 0
    halt(used_data_dir)
    began = time.monotonic()
    stopped = command(used_data_dir, "stop", "--json", **settings)
    assert time.monotonic() < began + 10
    assert json.loads(stopped.stdout)["killed"] is False
    assert not processes_of(used_data_dir)


async def test_a_postgres_that_does_not_start_again_ends_the_keeping(used_data_dir: Path) -> None:
    engine = EmbeddedPostgres(used_data_dir)
    await engine.start()
    version = used_data_dir / "postgres" / "cluster" / "PG_VERSION"
    kept = version.read_text()
    version.write_text("3\n")
    try:
        os.kill(postmaster_pid(used_data_dir), signal.SIGKILL)
        with pytest.raises(EngineFailed):
            async with asyncio.timeout(30):
                await engine.keep_alive()
    finally:
        version.write_text(kept)
        await engine.stop()


async def test_a_postgres_that_ends_again_and_again_ends_the_keeping(
    used_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = EmbeddedPostgres(used_data_dir)
    starts = []

    async def start_in_vain() -> str:
        starts.append(engine)
        return ""

    monkeypatch.setattr(engine, "start", start_in_vain)
    with pytest.raises(EngineFailed, match="6 times within ten minutes"):
        async with asyncio.timeout(30):
            await engine.keep_alive()
    assert len(starts) == 5
