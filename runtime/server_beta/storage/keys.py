"""API keys: stored as SHA-256 only."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ..domain.ids import ApiKeyId, ProjectId, TeamId, new_id
from ..domain.records import ApiKey
from . import records
from .database import Connection


async def insert(
    connection: Connection,
    team_id: TeamId,
    project_id: ProjectId | None,
    name: str,
    key_hash: bytes,
    scopes: Collection[str],
    expires_at: datetime | None,
) -> ApiKey:
    """Store a new key."""
    row = await connection.row("keys/insert", new_id(), team_id, project_id, name, key_hash, sorted(scopes), expires_at)
    assert row is not None
    return records.api_key(row)


async def by_hash(connection: Connection, key_hash: bytes) -> ApiKey | None:
    """Return the key of that hash, usable or not."""
    row = await connection.row("keys/by_hash", key_hash)
    return records.api_key(row) if row else None


async def touch(connection: Connection, key_ids: Collection[ApiKeyId]) -> None:
    """Note that these keys were used."""
    await connection.run("keys/touch", list(key_ids))
