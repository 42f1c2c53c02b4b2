"""Authenticate a caller by API key, or as the local team in `local-dev` mode."""

from __future__ import annotations

import time

from ..domain.api_keys import hash_key, is_well_formed
from ..domain.errors import Forbidden, Unauthorized
from ..domain.ids import ApiKeyId
from ..domain.ports import Clock
from ..domain.principals import LOCAL_SCOPES, Principal, parse_scopes
from ..domain.records import ApiKey
from ..domain.tenancy import LOCAL_TEAM_ID
from ..storage import keys
from ..storage.database import Database

# A revoked or expired key may go on for at most this long in a process that has just used it.
_REMEMBERED_SECONDS = 0.5
_MOST_REMEMBERED = 1_000


class Access:
    """Knows who is asking. Keys are looked up by their hash and remembered for half a second."""

    def __init__(self, database: Database, clock: Clock, auth_mode: str) -> None:
        self._database = database
        self._clock = clock
        self._allows_local = auth_mode == "local-dev"
        self._remembered: dict[bytes, tuple[float, Principal]] = {}
        self._used: set[ApiKeyId] = set()

    async def authenticate(self, key: str | None, *, remote_is_loopback: bool, proxied: bool) -> Principal:
        """Return the caller; raises Unauthorized without a key and Forbidden for one that is of no use."""
        if not key:
            if self._allows_local and remote_is_loopback and not proxied:
                return Principal(LOCAL_TEAM_ID, None, None, LOCAL_SCOPES)
            raise Unauthorized
        if not is_well_formed(key):
            raise Forbidden
        key_hash = hash_key(key)
        remembered = self._remembered.get(key_hash)
        if remembered is not None and remembered[0] > time.monotonic():
            return remembered[1]
        principal = await self._look_up(key_hash)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key_hash] = time.monotonic() + _REMEMBERED_SECONDS, principal
        return principal

    async def note_use(self) -> None:
        """Write down when keys were last used, for all that were since the last call."""
        used, self._used = self._used, set()
        if used:
            async with self._database.connection() as connection:
                await keys.touch(connection, used)

    async def _look_up(self, key_hash: bytes) -> Principal:
        async with self._database.connection() as connection:
            stored = await keys.by_hash(connection, key_hash)
        if stored is None or not self._is_usable(stored):
            raise Forbidden
        try:
            scopes = parse_scopes(stored.scopes)
        except ValueError as error:
            # A scope of a later version, which may share this database.
            raise Forbidden from error
        self._used.add(stored.id)
        return Principal(stored.team_id, stored.project_id, stored.id, scopes)

    def _is_usable(self, key: ApiKey) -> bool:
        return key.revoked_at is None and (key.expires_at is None or key.expires_at > self._clock.now())
