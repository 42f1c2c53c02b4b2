"""Migrations: numbered SQL files, each applied once, in order, in a transaction of its own, under one lock."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import asyncpg
import structlog

from ..domain.errors import DatabaseUnreachable, SchemaRefused
from .database import UNREACHABLE, connect_failure

log = structlog.get_logger()

# A large table takes its time to be rewritten, and so long wait the other processes that boot.
_SECONDS = 3600
# Any number will do, as long as every process of every version takes the same one.
_ADVISORY_LOCK = 0x636D656D
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The SHA-256 of the file, which tells whether it was changed after it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """Read the migrations that this version ships, in order."""
    folder = files(__package__).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(Migration(int(name[:4]), name, folder.joinpath(name).read_text("utf-8")) for name in names)


async def migrate(dsn: str, wanted: tuple[Migration, ...] | None = None, *, may_upgrade: bool = True) -> int:
    """Bring the database up to this version's schema and return its version.

    Any number of processes may call this at once. Unless it `may_upgrade`, only an empty database is prepared. Raises
    SchemaRefused when the database is newer than this program, older than it may be, or an applied migration is not
    the one that this program ships.
    """
    wanted = migrations() if wanted is None else wanted
    try:
        connection = await asyncpg.connect(dsn, timeout=5, command_timeout=_SECONDS)
    except (*UNREACHABLE, ValueError, asyncpg.PostgresError) as error:
        raise connect_failure(error) from error
    try:
        connection.add_log_listener(_tell)
        # Of the session, so that it holds from one migration's transaction to the next and ends with this process.
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        await connection.execute("SET client_min_messages = warning")
        await connection.execute(_LEDGER)
        missing = await _missing(connection, wanted)
        if len(missing) < len(wanted) and missing and not may_upgrade:
            raise SchemaRefused(
                f"The database has schema version {missing[0].version - 1}, and a server of that version may be using "
                "it; start or restart the server with this program first."
            )
        for migration in missing:
            await _apply(connection, migration)
    except UNREACHABLE as error:
        raise DatabaseUnreachable("The database stopped answering during a migration; start again.") from error
    except asyncpg.PostgresError as error:
        raise SchemaRefused(f"The database refuses to be prepared ({type(error).__name__}).") from error
    finally:
        await connection.close(timeout=5)
    return wanted[-1].version if wanted else 0


async def _missing(
    connection: asyncpg.Connection[asyncpg.Record], wanted: tuple[Migration, ...]
) -> tuple[Migration, ...]:
    applied = await connection.fetch("SELECT version, name, checksum FROM schema_migrations ORDER BY version")
    for row, migration in zip(applied, wanted, strict=False):
        if (row["version"], row["checksum"]) != (migration.version, migration.checksum):
            raise SchemaRefused(
                f"The database was made with another form of migration {migration.name} than this program has; "
                "run the claude-mem that made it."
            )
    if len(applied) > len(wanted):
        raise SchemaRefused(
            f"The database has schema version {applied[-1]['version']}, which this program does not know; "
            "run a newer claude-mem."
        )
    return wanted[len(applied) :]


async def _apply(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
    except UNREACHABLE:
        raise
    except asyncpg.PostgresError as error:
        raise SchemaRefused(
            f"The database refused migration {migration.name} ({type(error).__name__}); it is left as it was before."
        ) from error


def _tell(_connection: object, message: asyncpg.PostgresLogMessage) -> None:
    # Migrations count rows and name tables; they never quote what is in them.
    log.warning("a migration mended the database", action="migration_mended", detail=message.message)
