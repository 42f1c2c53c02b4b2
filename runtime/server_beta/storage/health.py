"""What health reads from the store."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from ..domain.ids import first_id_at
from .database import Connection


async def schema_version(connection: Connection) -> int:
    """Return the version of the newest migration that was applied; asking is the probe.

    Raises what a write would, where the database takes none.
    """
    row = await connection.row("health/probe")
    if row is None:
        return 0
    if row["is_read_only"]:
        raise asyncpg.ReadOnlySQLTransactionError
    return int(row["schema_version"] or 0)


async def since(connection: Connection, instant: datetime) -> tuple[int, int]:
    """Count the events stored and the tokens spent since an instant."""
    row = await connection.row("health/today", first_id_at(instant), instant)
    return (int(row["events"]), int(row["tokens"])) if row else (0, 0)
