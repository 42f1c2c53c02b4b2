"""Which schema the database has."""

from __future__ import annotations

from .connection import Connection


def version(connection: Connection) -> int:
    """Return the number of the newest migration that was applied."""
    row = connection.row("schema/version")
    return int(row["version"] or 0) if row else 0
