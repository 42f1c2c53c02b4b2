"""A real server on a real Postgres, tenants in it, and a look at its rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg
import pytest

from tests.server_beta.api.client import Client
from tests.server_beta.api.world import Connection, Home, Key, make_team
from tests.support.population import snapshot
from tests.support.postgres import PostgresServer
from tests.support.processes import watched_data_dir
from tests.support.server import Server, running_server

T = TypeVar("T")

# When a key was used is written down now and then; it is nobody's data. Every row, so that none changes meanwhile.
_FLEETING = "UPDATE api_keys SET last_used_at = NULL"


@dataclass(frozen=True, slots=True)
class Api:
    """The server under test, and its database."""

    server: Server
    dsn: str

    def client(self, key: Key | str | None) -> Client:
        """Make a client that sends this key."""
        return Client(self.server.port, key.text if isinstance(key, Key) else key)

    def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do something on a connection to the database."""

        async def connected() -> T:
            connection = await asyncpg.connect(self.dsn)
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(connected())

    def rows(self) -> dict[str, list[str]]:
        """Return every row of every table."""

        async def look(connection: Connection) -> dict[str, list[str]]:
            async with connection.transaction():
                await connection.execute(_FLEETING)
                return await snapshot(connection)

        return self.run(look)

    def team(self, *projects: str) -> list[Home]:
        """Make a team."""
        return self.run(lambda connection: make_team(connection, *projects))

    def assert_no_failure_logged(self) -> None:
        """See that no request met an error that nobody had thought of."""
        log = Path(self.server.data_dir, "logs", "server-beta.log").read_text()
        assert "http_request_failed" not in log, log[log.index("http_request_failed") - 200 :][:2000]


@pytest.fixture(scope="module")
def api(postgres_server: PostgresServer) -> Iterator[Api]:
    """Give a server with a database of this module that generates nothing: rows change by requests alone."""
    with _running(postgres_server, CLAUDE_MEM_GENERATION_DISABLED="1") as api:
        yield api


@pytest.fixture(scope="module")
def generating_api(postgres_server: PostgresServer) -> Iterator[Api]:
    """Give a server with a database of this module."""
    with _running(postgres_server) as api:
        yield api


@contextmanager
def _running(postgres_server: PostgresServer, **settings: str) -> Iterator[Api]:
    made = postgres_server.database()
    with asyncio.Runner() as runner, watched_data_dir() as data_dir:
        dsn = runner.run(made.__aenter__())
        try:
            with running_server(data_dir, CLAUDE_MEM_SERVER_DATABASE_URL=dsn, **settings) as server:
                yield (api := Api(server, dsn))
                api.assert_no_failure_logged()
        finally:
            runner.run(made.__aexit__(None, None, None))
