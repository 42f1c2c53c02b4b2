"""Make the local team and the local key, so that hooks, CLI and MCP work without anybody having configured anything."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..domain.api_keys import hash_key, is_well_formed, new_key
from ..domain.errors import StartRefused
from ..domain.principals import LOCAL_SCOPES
from ..domain.tenancy import LOCAL_TEAM_ID, LOCAL_TEAM_NAME
from ..storage import audit, keys, tenants
from ..storage.database import Database

KEY_FILE = ".server-beta.key"


async def bootstrap_local(database: Database, data_dir: Path) -> None:
    """Make sure that the data folder holds a key that works; the caller holds the data folder's lock."""
    path = data_dir / KEY_FILE
    known = _read(path)
    async with database.transaction() as connection:
        await tenants.ensure_team(connection, LOCAL_TEAM_ID, LOCAL_TEAM_NAME)
        if known is not None:
            stored = await keys.by_hash(connection, hash_key(known))
            if stored is not None and stored.revoked_at is None:
                return
        key = new_key()
        made = await keys.insert(
            connection,
            LOCAL_TEAM_ID,
            None,
            "local",
            hash_key(key),
            [scope.value for scope in LOCAL_SCOPES],
            None,
        )
        await audit.record(
            connection,
            LOCAL_TEAM_ID,
            None,
            actor="system:bootstrap",
            action="api_key.created",
            resource_type="api_key",
            resource_id=made.id,
            request_id=None,
        )
        # Inside the transaction: a key that could not be written down is rolled back.
        _write(path, key)


def _read(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text("ascii").strip()
        if is_well_formed(text):
            return text
    return None


def _write(path: Path, key: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StartRefused(f"The key file {path} cannot be written: {error.strerror}.") from error
