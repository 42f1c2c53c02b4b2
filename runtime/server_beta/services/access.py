"""Authenticate a caller by API key, or as the local team in `local-dev` mode."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

from ..domain.api_keys import KeyStatus, hash_key, is_well_formed, status_of
from ..domain.errors import Forbidden, Unauthorized
from ..domain.ids import ApiKeyId
from ..domain.ports import Clock
from ..domain.principals import LOCAL_SCOPES, Principal, parse_scopes
from ..domain.records import ApiKey
from ..domain.tenancy import LOCAL_TEAM_ID
from ..storage import keys
from ..storage.database import Database

# A revoked key may go on for at most this long in a process that has just used it; an expired one not at all.
_REMEMBERED_SECONDS = 0.5
_MOST_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    expires_at: datetime | None
    until: float


@dataclass(frozen=True, slots=True)
class _Lookup:
    answer: asyncio.Task[_Known | None]
    until: float


class Access:
    """Knows who is asking. Keys are looked up by their hash and remembered for half a second.

    However many ask with one key at the moment when that ends, the store is asked once.
    """

    def __init__(self, database: Database, clock: Clock, auth_mode: str) -> None:
        self._database = database
        self._clock = clock
        self._allows_local = auth_mode == "local-dev"
        self._remembered: dict[bytes, _Known] = {}
        self._lookups: dict[bytes, _Lookup] = {}
        self._used: set[ApiKeyId] = set()

    async def authenticate(self, key: str | None, *, remote_is_loopback: bool, proxied: bool) -> Principal:
        """Return the caller; raises Unauthorized without a key and Forbidden for one that is of no use."""
        if not key:
            if self._allows_local and remote_is_loopback and not proxied:
                return Principal(LOCAL_TEAM_ID, None, None, LOCAL_SCOPES)
            raise Unauthorized
        if not is_well_formed(key):
            raise Forbidden
        known = await self._known(hash_key(key))
        if known is None or (known.expires_at is not None and known.expires_at <= self._clock.now()):
            raise Forbidden
        return known.principal

    async def note_use(self) -> None:
        """Write down when keys were last used, for all that were since the last call."""
        used, self._used = self._used, set()
        if used:
            async with self._database.connection() as connection:
                await keys.touch(connection, used)

    async def _known(self, key_hash: bytes) -> _Known | None:
        known = self._remembered.get(key_hash)
        if known is not None and known.until > time.monotonic():
            return known
        lookup = self._lookups.get(key_hash)
        if lookup is None or lookup.until <= time.monotonic():
            lookup = self._lookups[key_hash] = self._begin_lookup(key_hash)
        # Whoever asked first may go away, and the others still want to know.
        return await asyncio.shield(lookup.answer)

    def _begin_lookup(self, key_hash: bytes) -> _Lookup:
        # From before the question on: a slow answer must not lengthen the life of a revoked key, neither for those who
        # ask after it came nor for those who join in waiting for it.
        until = time.monotonic() + _REMEMBERED_SECONDS
        lookup = _Lookup(asyncio.create_task(self._look_up(key_hash, until)), until)

        def forget(answer: asyncio.Task[_Known | None]) -> None:
            if self._lookups.get(key_hash) is lookup:
                del self._lookups[key_hash]
            if not answer.cancelled():
                # Asked for here, because everybody who wanted it may be gone.
                answer.exception()

        lookup.answer.add_done_callback(forget)
        return lookup

    async def _look_up(self, key_hash: bytes, until: float) -> _Known | None:
        async with self._database.connection() as connection:
            stored = await keys.by_hash(connection, key_hash)
        if stored is None or not self._is_usable(stored):
            return None
        try:
            scopes = parse_scopes(stored.scopes)
        except ValueError:
            # A scope of a later version, which may share this database.
            return None
        self._used.add(stored.id)
        known = _Known(Principal(stored.team_id, stored.project_id, stored.id, scopes), stored.expires_at, until)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[key_hash] = known
        return known

    def _is_usable(self, key: ApiKey) -> bool:
        return status_of(key, self._clock.now()) is KeyStatus.ACTIVE
