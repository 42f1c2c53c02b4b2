"""One real Postgres for a test run, one migrated template, one database for each test."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import asyncpg

from server_beta.engines.configuration import SETTINGS
from server_beta.engines.passwords import Passwords
from server_beta.engines.postgres import EmbeddedPostgres
from server_beta.engines.provision import connection_string
from server_beta.storage.migrate import migrate

# What a test writes need not outlive a power cut, and a database is made three times as fast without that.
_FLEETING = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "300"}

_ROLE = "claude_mem"
_TEMPLATE = "migrated_template"


class PostgresServer:
    """The embedded server with the product's settings, durability apart. Start and stop it where no event loop runs."""

    def __init__(self, data_dir: Path) -> None:
        self._engine = EmbeddedPostgres(data_dir)
        self._passwords_file = data_dir / "postgres" / "passwords.json"
        self._passwords = Passwords("", "")
        self._socket_folder = Path()
        self._is_migrated = False

    @property
    def superuser_dsn(self) -> str:
        """The DSN of the superuser, in a database of no test."""
        return connection_string(self._socket_folder, "postgres", self._passwords.superuser, "postgres")

    def start(self) -> None:
        """Start the server."""
        with mock.patch.dict(SETTINGS, _FLEETING):
            dsn = asyncio.run(self._engine.start())
        self._socket_folder = Path(parse_qs(urlsplit(dsn).query)["host"][0])
        self._passwords = Passwords.load(self._passwords_file)

    def stop(self) -> None:
        """Stop the server."""
        asyncio.run(self._engine.stop())

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Make a database with this version's schema, give its DSN, and drop it."""
        if not self._is_migrated:
            await self._execute(f"DROP DATABASE IF EXISTS {_TEMPLATE}")
            await self._execute(f"CREATE DATABASE {_TEMPLATE} OWNER {_ROLE} STRATEGY file_copy")
            await migrate(self._dsn(_TEMPLATE))
            self._is_migrated = True
        async with self._copy_of(_TEMPLATE) as dsn:
            yield dsn

    @contextlib.asynccontextmanager
    async def empty_database(self) -> AsyncIterator[str]:
        """Make a database without any schema, give its DSN, and drop it."""
        async with self._copy_of("template0") as dsn:
            yield dsn

    @contextlib.asynccontextmanager
    async def _copy_of(self, template: str) -> AsyncIterator[str]:
        name = f"test_{uuid.uuid4().hex}"
        await self._execute(f"CREATE DATABASE {name} OWNER {_ROLE} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self._dsn(name)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _dsn(self, database: str) -> str:
        return connection_string(self._socket_folder, _ROLE, self._passwords.role, database)

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.superuser_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()
