"""Who can reach the embedded Postgres, under which account it runs, and what it tells its log."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from server_beta.domain.errors import EngineFailed
from server_beta.engines.postgres import EmbeddedPostgres
from tests.support.embedded_postgres import fetch, postmaster_pid, superuser_dsn
from tests.support.processes import assert_no_process
from tests.support.waiting import eventually

CANARY = "canary-7f3a91"


@pytest.fixture
async def engine(used_data_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    engine = EmbeddedPostgres(used_data_dir)
    yield engine
    await engine.stop()


@pytest.fixture
def long_dir(data_dir: Path) -> Path:
    """Give a data folder in which no socket fits."""
    return data_dir.joinpath(*["a-folder-of-some-length"] * 5)


def socket_folder(dsn: str) -> Path:
    return Path(parse_qs(urlsplit(dsn).query)["host"][0])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_the_password_opens_it_and_only_by_the_socket(engine: EmbeddedPostgres, data_dir: Path) -> None:
    dsn = await engine.start()
    password = urlsplit(dsn).password
    assert password is not None
    assert len(password) == 64
    for account in ("claude_mem", "postgres"):
        for wrong in (f"{account}:wrong@", f"{account}@"):
            with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InterfaceError)):
                await fetch(dsn.replace(f"claude_mem:{password}@", wrong), "SELECT 1")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await fetch(dsn.replace("claude_mem:", "postgres:", 1), "SELECT 1")
    methods = "SELECT array_agg(DISTINCT auth_method ORDER BY auth_method) FROM pg_hba_file_rules WHERE type = 'local'"
    assert await fetch(superuser_dsn(data_dir), methods) == ["scram-sha-256"]
    assert await fetch(dsn, "SHOW listen_addresses") == ""


async def test_nobody_else_may_read_what_it_keeps(engine: EmbeddedPostgres, data_dir: Path) -> None:
    folder = socket_folder(await engine.start())
    home = data_dir / "postgres"
    assert folder == home / "socket"
    assert mode(folder) == 0o700
    assert mode(home / "cluster") == 0o700
    assert mode(home) & 0o066 == 0
    for name in ("passwords.json", "process.json", "postgres.log"):
        assert mode(home / name) == 0o600, name


async def test_the_socket_moves_to_a_private_folder_when_the_path_is_too_long(long_dir: Path) -> None:
    engine = EmbeddedPostgres(long_dir)
    try:
        dsn = await engine.start()
        folder = socket_folder(dsn)
        assert not folder.is_relative_to(long_dir)
        assert mode(folder) == 0o700
        assert folder.stat().st_uid == (long_dir / "postgres" / "cluster").stat().st_uid
        assert await fetch(dsn, "SELECT 1") == 1
    finally:
        await engine.stop()
    assert not folder.exists()
    assert_no_process(long_dir)


@pytest.mark.parametrize("trap", ["link", "open", "file"])
async def test_a_trap_in_the_place_of_the_private_folder_is_refused(long_dir: Path, trap: str) -> None:
    engine = EmbeddedPostgres(long_dir)
    folder = socket_folder(await engine.start())
    await engine.stop()
    try:
        match trap:
            case "link":
                folder.symlink_to(long_dir)
            case "open":
                folder.mkdir()
                folder.chmod(0o777)
            case _:
                folder.write_text("")
        with pytest.raises(EngineFailed, match=str(folder)):
            await engine.start()
    finally:
        if folder.is_dir() and not folder.is_symlink():
            folder.rmdir()
        else:
            folder.unlink()


@pytest.mark.parametrize("name", ["with space", "with,comma", "with%percent", "täglich", "quote'\"", "a=b&c"])
async def test_any_name_of_the_data_folder_works(data_dir: Path, name: str) -> None:
    engine = EmbeddedPostgres(data_dir / name)
    try:
        assert await fetch(await engine.start(), "SELECT 1") == 1
    finally:
        await engine.stop()


async def test_settings_of_other_postgres_clients_do_not_reach_it(
    engine: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, setting in {"PGHOST": "nowhere.invalid", "PGPORT": "1", "PGUSER": "x", "PGSSLMODE": "require"}.items():
        monkeypatch.setenv(name, setting)
    monkeypatch.setenv("PGDATA", "/nowhere")
    assert await fetch(await engine.start(), "SELECT 1") == 1


async def test_it_gets_nothing_of_our_environment(
    engine: EmbeddedPostgres, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    await engine.start()
    process = Path("/proc") / str(postmaster_pid(data_dir))
    assert CANARY.encode() not in process.joinpath("environ").read_bytes()
    password = (data_dir / "postgres" / "passwords.json").read_text().split('"')[3]
    assert password.encode() not in process.joinpath("cmdline").read_bytes()


async def test_no_statement_and_no_value_reaches_the_log(engine: EmbeddedPostgres, data_dir: Path) -> None:
    dsn = await engine.start()
    await fetch(dsn, "CREATE TABLE things (name text PRIMARY KEY)")
    await fetch(dsn, f"INSERT INTO things VALUES ('{CANARY}')")
    for refused in (
        f"INSERT INTO things VALUES ('{CANARY}')",
        f"SELECT '{CANARY}'::uuid",
        f"{CANARY}",
        f"SELECT $${CANARY}",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await fetch(dsn, refused)
    connection = await asyncpg.connect(dsn)
    child = await connection.fetchval(f"SELECT pg_backend_pid() -- {CANARY}")
    log = data_dir / "postgres" / "postgres.log"
    ready = log.read_text().count("ready to accept connections")
    os.kill(child, signal.SIGKILL)
    await eventually(lambda: "was terminated by signal 9" in log.read_text())
    await eventually(lambda: log.read_text().count("ready to accept connections") == ready + 1)
    connection.terminate()
    assert CANARY not in log.read_text()
    assert urlsplit(dsn).password not in log.read_text().split()
