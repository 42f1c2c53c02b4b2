"""Prepare the database and the role that owns it, and say how to connect as that role."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import asyncpg

from ..domain.errors import EngineFailed
from .passwords import Passwords
from .sockets import PORT

_NAME = "claude_mem"

_REFUSED = (
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


async def prepare_database(folder: Path, passwords: Passwords, is_new: bool) -> str:
    """Return the DSN, after a connection with it; makes role and database in a new cluster or one left half made."""
    dsn = role_dsn(folder, passwords)
    try:
        if is_new or not await _opens(dsn):
            await _make(connection_string(folder, "postgres", passwords.superuser, "postgres"), passwords.role)
            if not await _opens(dsn):
                raise EngineFailed("The embedded database was made but refuses its own role; start again.")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise EngineFailed(f"The embedded database does not open: {str(error) or 'it does not answer'}.") from error
    return dsn


def role_dsn(folder: Path, passwords: Passwords) -> str:
    """Write the DSN of the role that owns the database."""
    return connection_string(folder, _NAME, passwords.role, _NAME)


def connection_string(folder: Path, role: str, password: str, database: str) -> str:
    """Write a DSN that asyncpg and psycopg read alike and that leaves nothing to the environment's PG* variables."""
    return f"postgresql://{role}:{password}@/{database}?host={quote(str(folder), safe='')}&port={PORT}&sslmode=disable"


async def _opens(dsn: str) -> bool:
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
    except _REFUSED:
        return False
    await connection.close()
    return True


async def _make(superuser_dsn: str, password: str) -> None:
    try:
        connection = await asyncpg.connect(superuser_dsn, timeout=10)
    except _REFUSED as error:
        raise EngineFailed(
            "The embedded database refuses the passwords in passwords.json, which are another one's; "
            "restore that file from a backup."
        ) from error
    try:
        known = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", _NAME)
        # A utility statement takes no parameters; the password is hexadecimal.
        await connection.execute(f"{'ALTER' if known else 'CREATE'} ROLE {_NAME} LOGIN PASSWORD '{password}'")
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", _NAME):
            # The default strategy logs each block of the template and takes 0.4 s instead of 0.1 s.
            await connection.execute(f"CREATE DATABASE {_NAME} OWNER {_NAME} STRATEGY file_copy")
    finally:
        await connection.close()
