"""Make the local team and the local key, so that hooks, CLI and MCP work without anybody having configured anything."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from ..domain.api_keys import KeyStatus, hash_key, new_key, status_of
from ..domain.audit import SystemActor
from ..domain.ports import Clock
from ..domain.principals import LOCAL_SCOPES, in_order
from ..domain.records import ApiKey
from ..domain.tenancy import LOCAL_TEAM_ID, LOCAL_TEAM_NAME
from ..storage import audit, keys, tenants
from ..storage.database import Connection, Database
from .local_key import LocalKey

_NAME = "local"
_ACTOR = "system:bootstrap"


async def bootstrap_local(database: Database, data_dir: Path, clock: Clock) -> None:
    """Make sure that the data folder holds a key that works: its own, and the only one of its own that does.

    Any number of processes may do this at once, on one database and even on one data folder.
    """
    local = LocalKey(data_dir)
    async with database.transaction() as connection:
        await tenants.ensure_team(connection, LOCAL_TEAM_ID, LOCAL_TEAM_NAME)
        # Whoever comes second reads the files only when the first has written them.
        await tenants.lock_team(connection, LOCAL_TEAM_ID)
        installation_id = local.identify()
        if not await _is_good(connection, local, installation_id, clock):
            await _replace(connection, local, installation_id)


async def _is_good(connection: Connection, local: LocalKey, installation_id: UUID, clock: Clock) -> bool:
    text = local.read()
    stored = None if text is None else await keys.by_hash(connection, hash_key(text))
    if stored is None or not _is_local(stored) or status_of(stored, clock.now()) is not KeyStatus.ACTIVE:
        return False
    if stored.installation_id is None and stored.created_by == _ACTOR:
        # Of a version that did not identify data folders.
        return await keys.adopt(connection, LOCAL_TEAM_ID, installation_id, stored.id)
    return stored.installation_id == installation_id


def _is_local(key: ApiKey) -> bool:
    return key.team_id == LOCAL_TEAM_ID and key.project_id is None and set(key.scopes) >= LOCAL_SCOPES


async def _replace(connection: Connection, local: LocalKey, installation_id: UUID) -> None:
    for lost in await keys.revoke_local(connection, LOCAL_TEAM_ID, installation_id):
        await _record(connection, "api_key.revoked", lost)
    text = new_key()
    made = await keys.insert(
        connection,
        LOCAL_TEAM_ID,
        None,
        _NAME,
        hash_key(text),
        in_order(LOCAL_SCOPES),
        None,
        created_by=_ACTOR,
        installation_id=installation_id,
    )
    await _record(connection, "api_key.created", made.id)
    # Inside the transaction: a key that could not be written down is rolled back.
    local.write(text)


async def _record(connection: Connection, action: str, key_id: UUID) -> None:
    await audit.record(
        connection,
        SystemActor(LOCAL_TEAM_ID, None, _ACTOR),
        None,
        action=action,
        resource_type="api_key",
        resource_id=key_id,
        request_id=None,
        details={"name": _NAME, "local": True},
    )
