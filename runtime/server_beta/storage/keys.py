"""API keys: stored as SHA-256 only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from ..domain.api_keys import KeyFilter
from ..domain.errors import NotFound
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
    *,
    created_by: str = "system",
    rotated_from: ApiKeyId | None = None,
    installation_id: UUID | None = None,
) -> ApiKey:
    """Store a new key; raises NotFound when its project has just been deleted."""
    owned = (team_id, project_id, name, key_hash, list(scopes), expires_at, created_by, rotated_from, installation_id)
    try:
        row = await connection.row("keys/insert", new_id(), *owned)
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound from error
    assert row is not None
    return records.api_key(row)


async def by_hash(connection: Connection, key_hash: bytes) -> ApiKey | None:
    """Return the key of that hash, usable or not."""
    row = await connection.row("keys/by_hash", key_hash)
    return records.api_key(row) if row else None


async def get(connection: Connection, team_id: TeamId, only: ProjectId | None, key_id: ApiKeyId) -> ApiKey | None:
    """Return a key of the team, or of one project where `only` is given."""
    row = await connection.row("keys/get", team_id, only, key_id)
    return records.api_key(row) if row else None


async def lock(connection: Connection, team_id: TeamId, only: ProjectId | None, key_id: ApiKeyId) -> ApiKey | None:
    """Return a key that nobody else changes before this transaction ends."""
    row = await connection.row("keys/lock", team_id, only, key_id)
    return records.api_key(row) if row else None


async def page(
    connection: Connection, team_id: TeamId, only: ProjectId | None, wanted: KeyFilter, now: datetime
) -> Sequence[ApiKey]:
    """Return up to one more than `limit` keys, so that the caller can tell whether there is another page."""
    rows = await connection.rows(
        "keys/list", team_id, only, wanted.status, now, *(wanted.after or (None, None)), wanted.limit + 1
    )
    return [records.api_key(row) for row in rows]


async def revoke(connection: Connection, team_id: TeamId, only: ProjectId | None, key_id: ApiKeyId) -> ApiKey | None:
    """Revoke a key; None when there is none to revoke."""
    row = await connection.row("keys/revoke", team_id, only, key_id)
    return records.api_key(row) if row else None


async def retire(
    connection: Connection, team_id: TeamId, only: ProjectId | None, key_id: ApiKeyId, until: datetime
) -> ApiKey | None:
    """Let a key that was replaced go on until an instant at most."""
    row = await connection.row("keys/retire", team_id, only, key_id, until)
    return records.api_key(row) if row else None


async def has_successor(connection: Connection, team_id: TeamId, key_id: ApiKeyId) -> bool:
    """Whether a key was rotated already."""
    row = await connection.row("keys/has_successor", team_id, key_id)
    return bool(row and row["has_successor"])


async def team_of(connection: Connection, key_id: ApiKeyId) -> TeamId | None:
    """Return whose key it is; for the operator alone, who knows every team."""
    row = await connection.row("keys/team_of", key_id)
    return TeamId(row["team_id"]) if row else None


async def adopt(connection: Connection, team_id: TeamId, installation_id: UUID, key_id: ApiKeyId) -> bool:
    """Make a local key that is nobody's the local key of a data folder; false when that has another."""
    return await connection.run("keys/adopt", team_id, installation_id, key_id) == 1


async def revoke_local(connection: Connection, team_id: TeamId, installation_id: UUID) -> Sequence[ApiKeyId]:
    """Revoke the local key of a data folder, and say which it was."""
    rows = await connection.rows("keys/revoke_local", team_id, installation_id)
    return [ApiKeyId(row["id"]) for row in rows]


async def touch(connection: Connection, key_ids: Collection[ApiKeyId]) -> None:
    """Note that these keys were used."""
    await connection.run("keys/touch", list(key_ids))


async def usable(connection: Connection, key_ids: Collection[ApiKeyId]) -> set[ApiKeyId]:
    """Return those of the keys that are neither revoked nor expired."""
    return {ApiKeyId(row["id"]) for row in await connection.rows("keys/usable", list(key_ids))}
