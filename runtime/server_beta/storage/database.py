"""The connection pool, and the one place where the driver's failures become ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeAlias, cast
from weakref import WeakSet

import asyncpg
import msgspec

from ..domain.errors import DatabaseUnreachable, Unavailable
from .pulse import Pulse
from .statements import statement

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
    # A standby that has not taken over yet, or a provider's way to say that the disk is full.
    asyncpg.ReadOnlySQLTransactionError,
)
# The server gave up a transaction of ours so that another one could go on; done again, it goes through.
_GIVEN_UP = asyncpg.exceptions.TransactionRollbackError
_CONNECT_SECONDS = 5.0
_ACQUIRE_SECONDS = 2.0
_RELEASE_SECONDS = 2.0
# For a server that lives: whether it does, the pulse finds out much sooner.
_STATEMENT_SECONDS = 30.0
_SESSION = {"application_name": "claude-mem server-beta", "jit": "off"}
_PULSE_SESSION = {"application_name": "claude-mem pulse"}

_Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_Lent: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"


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
    """A pool of connections to the canonical store.

    While the server does not answer, everybody is told so at once, and who was waiting within two seconds.
    """

    def __init__(self, dsn: str, most_connections: int) -> None:
        self._pool: asyncpg.Pool[asyncpg.Record] = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=most_connections,
            timeout=_CONNECT_SECONDS,
            command_timeout=_STATEMENT_SECONDS,
            init=self._welcome,
            # No statement leaves anything behind in a session, so that a round trip to clear it is not worth its time.
            reset=_keep,
            server_settings=_SESSION,
        )
        self._pulse = Pulse(
            partial(asyncpg.connect, dsn, timeout=_CONNECT_SECONDS, server_settings=_PULSE_SESSION), self._cut_off
        )
        self._connections: WeakSet[_Driver] = WeakSet()
        self._queueing: set[asyncio.Timeout] = set()

    @classmethod
    async def open(cls, dsn: str, *, most_connections: int = 16) -> Database:
        """Connect; raises DatabaseUnreachable within 10 s when the server does not answer or refuses us."""
        try:
            database = cls(dsn, most_connections)
            await database._pool
            async with database._pool.acquire():
                pass
        except (*UNREACHABLE, ValueError, asyncpg.PostgresError) as error:
            raise connect_failure(error) from error
        database._pulse.start()
        return database

    @property
    def is_lost(self) -> bool:
        """Whether the server did not answer when it was last asked, half a second ago at most."""
        return self._pulse.is_lost

    @property
    def connections(self) -> tuple[int, int]:
        """How many connections are lent, and how many there may be."""
        return self._pool.get_size() - self._pool.get_idle_size(), self._pool.get_max_size()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection in autocommit mode; raises Unavailable when the server does not answer."""
        async with self._lend() as connection:
            yield Connection(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection inside one transaction; raises Unavailable when the server does not answer."""
        async with self._lend() as connection, connection.transaction():
            yield Connection(connection)

    async def close(self, seconds: float) -> None:
        """Give connections back within the time, then cut them; at once when the server does not answer."""
        await self._pulse.stop()
        try:
            async with asyncio.timeout(0 if self.is_lost else seconds):
                await self._pool.close()
        except (TimeoutError, *UNREACHABLE):
            self._pool.terminate()

    @asynccontextmanager
    async def _lend(self) -> AsyncIterator[_Lent]:
        connection = await self._acquire()
        try:
            yield connection
            self._pulse.heard()
        except (*UNREACHABLE, _GIVEN_UP) as error:
            if isinstance(error, asyncpg.InterfaceError) and not _is_closed(connection):
                # An argument that does not fit is a fault of ours, and trying again does not help.
                raise
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                # This session may take no writes for ever; a new one does as soon as its server does.
                connection.terminate()
            raise Unavailable from error
        finally:
            # What has been answered stays answered when the connection turns out to be broken only now.
            with suppress(*UNREACHABLE):
                await self._pool.release(connection, timeout=_RELEASE_SECONDS)

    async def _acquire(self) -> _Lent:
        if self._pulse.is_lost:
            raise Unavailable
        try:
            async with asyncio.timeout(_ACQUIRE_SECONDS) as patience:
                self._queueing.add(patience)
                try:
                    return cast("_Lent", await self._pool.acquire())
                finally:
                    self._queueing.discard(patience)
        except (*UNREACHABLE, asyncpg.PostgresError) as error:
            raise Unavailable from error

    async def _welcome(self, connection: _Driver) -> None:
        await _teach_json(connection)
        self._connections.add(connection)

    def _cut_off(self) -> None:
        # Those that nobody uses as well: after a failover they would lead to a machine that is gone.
        for connection in tuple(self._connections):
            if not connection.is_closed():
                connection.terminate()
        for patience in tuple(self._queueing):
            if not patience.expired():
                patience.reschedule(0)


def connect_failure(error: BaseException) -> DatabaseUnreachable:
    """Say why there is no connection, without quoting the driver, whose text may name the user or the host."""
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return DatabaseUnreachable(
                "The configured database refuses the user or password of CLAUDE_MEM_SERVER_DATABASE_URL."
            )
        case asyncpg.InvalidCatalogNameError():
            return DatabaseUnreachable(
                "The configured Postgres has no database of that name; create it or correct "
                "CLAUDE_MEM_SERVER_DATABASE_URL."
            )
        case _:
            return DatabaseUnreachable()


async def _keep(_connection: object) -> None:
    pass


def _is_closed(connection: _Lent) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        # Cut off, it has left the pool.
        return True


async def _teach_json(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=encode_json, decoder=_decode_json, format="text"
    )


def encode_json(value: object) -> str:
    """Encode a value for a jsonb parameter."""
    return msgspec.json.encode(value).decode()


def _decode_json(text: str) -> object:
    return cast("Any", msgspec.json.decode(text))
