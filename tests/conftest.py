"""Fixtures that give real engines. Each stops what it has started; a process that is left fails its test."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.clock import FrozenClock
from tests.support.embedded_postgres import running_server
from tests.support.postgres import PostgresServer
from tests.support.processes import watched_data_dir
from tests.support.redis import RedisServer


@pytest.fixture(scope="session", autouse=True)
def signals_end_programs() -> None:
    """Let SIGHUP and SIGINT do what they do: under nohup or `&` they are ignored, which programs under test inherit."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def clock() -> FrozenClock:
    """Give a clock that only the test moves."""
    return FrozenClock()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Give an empty data folder; fails the test when a process of it is left."""
    with watched_data_dir() as folder:
        yield folder


@pytest.fixture(scope="session")
def first_start() -> Iterator[Path]:
    """Give the data folder of an embedded Postgres that was started once and stopped."""
    with watched_data_dir() as folder:
        with running_server(folder):
            pass
        yield folder


@pytest.fixture
def used_data_dir(data_dir: Path, first_start: Path) -> Path:
    """Give a data folder whose embedded Postgres was started before, which takes a third of the time."""
    subprocess.run(["cp", "-a", first_start / "postgres", data_dir], check=True)
    return data_dir


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give the Postgres of this test run."""
    with watched_data_dir() as folder:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
async def database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Give the DSN of a database of this test, with the schema."""
    async with postgres_server.database() as dsn:
        yield dsn


@pytest.fixture
async def empty_database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Give the DSN of a database of this test, without a schema."""
    async with postgres_server.empty_database() as dsn:
        yield dsn


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Give the Redis of this test run. A test that stops or kills it starts it again."""
    with watched_data_dir() as folder:
        server = RedisServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def redis(redis_server: RedisServer) -> str:
    """Give the URL of an empty Redis."""
    if not redis_server.is_alive:
        redis_server.start()
    redis_server.flush()
    return redis_server.url
