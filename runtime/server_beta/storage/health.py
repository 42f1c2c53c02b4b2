"""What health reads from the store."""

from __future__ import annotations

from datetime import datetime

from .database import Connection


async def schema_version(connection: Connection) -> int:
    """Return the version of the newest migration that was applied; asking is the probe."""
    row = await connection.row("health/probe")
    return int(row["schema_version"] or 0) if row else 0


async def events_since(connection: Connection, since: datetime) -> int:
    """Count the events stored since an instant."""
    row = await connection.row("health/today", since)
    return int(row["events"]) if row else 0
