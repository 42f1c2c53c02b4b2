"""The connection pool, and the one place where the driver's failures become ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import msgspec
import structlog

from ..domain.errors import DatabaseUnreachable, Unavailable
from .statements import statement

log = structlog.get_logger()

# Everything the driver raises when the server is gone, going, full or not there yet; not what a wrong query raises.
UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # A server that is killed in the midst of an answer leaves the driver in a state that it does not know.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
# The server gave up a transaction of ours so that another one could go on; done again, it goes through.
_GIVEN_UP = asyncpg.exceptions.TransactionRollbackError
_CONNECT_SECONDS = 5.0
_ACQUIRE_SECONDS = 2.0


class Connection:
    """One connection of the pool: runs SQL files by name and returns rows as plain mappings."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> None:
        self._connection = connection

    async def rows(self, name: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """Run a statement and return its rows."""
        rows: Sequence[asyncpg.Record] = await self._connection.fetch(statement(name), *arguments)
        return rows

    async def row(self, name: str, *arguments: object) -> asyncpg.Record | None:
        """Run a statement and return its first row, if any."""
        return await self._connection.fetchrow(statement(name), *arguments)

    async def run(self, name: str, *arguments: object) -> int:
        """Run a statement and return how many rows it touched."""
        status = await self._connection.execute(statement(name), *arguments)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0


class Database:
    """A pool of connections to the canonical store."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, dsn: str, *, most_connections: int = 16) -> Database:
        """Connect; raises DatabaseUnreachable within 10 s when the server does not answer or refuses us."""
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=most_connections,
                timeout=_CONNECT_SECONDS,
                command_timeout=30,
                init=_teach_json,
                server_settings={"application_name": "claude-mem server-beta", "jit": "off"},
            )
        except (*UNREACHABLE, ValueError, asyncpg.PostgresError) as error:
            raise DatabaseUnreachable from error
        return cls(pool)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection in autocommit mode; raises Unavailable when the server does not answer."""
        try:
            async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection:
                yield Connection(connection)
        except (*UNREACHABLE, _GIVEN_UP) as error:
            raise Unavailable from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside one transaction; raises Unavailable when the server does not answer."""
        try:
            async with self._pool.acquire(timeout=_ACQUIRE_SECONDS) as connection, connection.transaction():
                yield Connection(connection)
        except (*UNREACHABLE, _GIVEN_UP) as error:
            raise Unavailable from error

    async def close(self, seconds: float) -> None:
        """Give connections back within the time, then cut them."""
        try:
            async with asyncio.timeout(seconds):
                await self._pool.close()
        except (TimeoutError, *UNREACHABLE):
            self._pool.terminate()


async def _teach_json(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=encode_json, decoder=_decode_json, format="text"
    )


def encode_json(value: object) -> str:
    """Encode a value for a jsonb parameter."""
    return msgspec.json.encode(value).decode()


def _decode_json(text: str) -> object:
    return cast("Any", msgspec.json.decode(text))
