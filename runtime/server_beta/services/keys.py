"""Make, list, rotate and revoke API keys. Nobody gives a key more than they hold, and every change is audited."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from ..domain.api_keys import IssuedKey, KeyFilter, KeyStatus, NewKey, hash_key, new_key, status_of
from ..domain.errors import Conflict, InvalidInput, Issue, NotFound
from ..domain.ids import ApiKeyId
from ..domain.ports import Clock
from ..domain.principals import Principal, Scope, in_order, parse_scopes
from ..domain.privacy import protect_text
from ..domain.records import ApiKey, Project, Team
from ..storage import audit, keys, tenants
from ..storage.database import Connection, Database
from .local_key import LocalKey
from .visibility import require_project

_AT_ONCE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whose a caller is; without a key in `local-dev` mode, without a project where it sees the whole team."""

    team: Team
    project: Project | None
    key: ApiKey | None


@dataclass(frozen=True, slots=True)
class Keys:
    """The API keys of the caller's team, or of its project where its key is for one."""

    database: Database
    clock: Clock
    local: LocalKey

    async def list(self, principal: Principal, wanted: KeyFilter) -> tuple[Sequence[ApiKey], bool]:
        """Return a page, newest first, and whether there is more after it."""
        principal.require(Scope.KEYS_WRITE)
        only = principal.project_id or wanted.project_id
        async with self.database.connection() as connection:
            await require_project(connection, principal, wanted.project_id)
            found = await keys.page(connection, principal.team_id, only, wanted, self.clock.now())
        return found[: wanted.limit], len(found) > wanted.limit

    async def standing(self, principal: Principal) -> Standing:
        """Return the caller's own team, project and key."""
        project, key = None, None
        async with self.database.connection() as connection:
            team = await tenants.team(connection, principal.team_id)
            if principal.project_id is not None:
                project = await tenants.project_by_id(connection, principal.team_id, principal.project_id)
            if principal.key_id is not None:
                key = await keys.get(connection, principal.team_id, principal.project_id, principal.key_id)
        if team is None:
            raise NotFound
        return Standing(team, project, key)

    async def create(self, principal: Principal, wanted: NewKey, request_id: str | None) -> IssuedKey:
        """Make a key; raises Forbidden for more scopes than the caller's, NotFound for a project it does not see."""
        principal.require(Scope.KEYS_WRITE)
        principal.require_power_over(wanted.scopes)
        if wanted.expires_at is not None and wanted.expires_at <= self.clock.now():
            issue = Issue("$.expiresAtEpoch", "must be in the future", "out_of_range")
            raise InvalidInput("A key must expire in the future.", [issue])
        name = protect_text(wanted.name)
        if not name.strip():
            raise InvalidInput(
                "A key needs a name that is not private.", [Issue("$.name", "is empty or private", "empty")]
            )
        project_id = wanted.project_id or principal.project_id
        async with self.database.transaction() as connection:
            await require_project(connection, principal, project_id)
            text = new_key()
            stored = await keys.insert(
                connection,
                principal.team_id,
                project_id,
                name,
                hash_key(text),
                in_order(wanted.scopes),
                wanted.expires_at,
                created_by=principal.actor,
            )
            await _record(connection, principal, "api_key.created", stored, request_id)
        return IssuedKey(stored, text)

    async def revoke(self, principal: Principal, key_id: ApiKeyId, request_id: str | None) -> ApiKey:
        """Revoke a key and return it; one that is revoked already is returned as it is."""
        principal.require(Scope.KEYS_WRITE)
        async with self.database.transaction() as connection:
            known = await self._locked(connection, principal, key_id)
            if Scope.ADMIN in known.scopes:
                principal.require(Scope.ADMIN)
            revoked = await keys.revoke(connection, principal.team_id, principal.project_id, key_id)
            if revoked is None:
                return known
            await _record(connection, principal, "api_key.revoked", revoked, request_id)
        return revoked

    async def rotate(
        self, principal: Principal, key_id: ApiKeyId, grace: timedelta, request_id: str | None
    ) -> IssuedKey:
        """Replace a key by a new one with the same name, scopes, project and expiry; the old one goes on for the grace.

        Raises Conflict for a key that is of no use any more, that was rotated already, or that belongs to a data
        folder on another machine, Forbidden for one that may more than the caller.
        """
        principal.require(Scope.KEYS_WRITE)
        text = new_key()
        # The file of a local key comes last: at its commit the new key works, and for the grace the old one still does.
        with ExitStack() as file:
            async with self.database.transaction() as connection:
                old = await self._locked(connection, principal, key_id)
                await self._require_rotatable(connection, principal, old)
                if old.installation_id is not None:
                    file.enter_context(self.local.staged(text))
                await self._end(connection, old, grace)
                stored = await self._succeed(connection, principal, old, text)
                details = {"rotatedFrom": str(old.id), "graceSeconds": int(grace.total_seconds())}
                await _record(connection, principal, "api_key.rotated", stored, request_id, details)
        return IssuedKey(stored, text)

    async def _end(self, connection: Connection, old: ApiKey, grace: timedelta) -> None:
        if grace > _AT_ONCE:
            await keys.retire(connection, old.team_id, old.project_id, old.id, self.clock.now() + grace)
        else:
            await keys.revoke(connection, old.team_id, old.project_id, old.id)

    async def _succeed(self, connection: Connection, principal: Principal, old: ApiKey, text: str) -> ApiKey:
        return await keys.insert(
            connection,
            old.team_id,
            old.project_id,
            old.name,
            hash_key(text),
            old.scopes,
            old.expires_at,
            created_by=principal.actor,
            rotated_from=old.id,
            installation_id=old.installation_id,
        )

    async def _locked(self, connection: Connection, principal: Principal, key_id: ApiKeyId) -> ApiKey:
        known = await keys.lock(connection, principal.team_id, principal.project_id, key_id)
        if known is None:
            raise NotFound
        return known

    async def _require_rotatable(self, connection: Connection, principal: Principal, old: ApiKey) -> None:
        status = status_of(old, self.clock.now())
        if status is not KeyStatus.ACTIVE:
            raise Conflict(f"This key is {status}; make a new one.")
        try:
            principal.require_power_over(parse_scopes(old.scopes))
        except ValueError as error:
            raise Conflict("This key has a scope of a later version of claude-mem; rotate it there.") from error
        if await keys.has_successor(connection, old.team_id, old.id):
            raise Conflict("This key was rotated already; rotate the one that replaced it.")
        if not self._is_ours(old.installation_id):
            raise Conflict("This is the local key of another data folder; rotate it on that machine.")

    def _is_ours(self, installation_id: UUID | None) -> bool:
        return installation_id is None or installation_id == self.local.installation_id()


async def _record(
    connection: Connection,
    principal: Principal,
    action: str,
    key: ApiKey,
    request_id: str | None,
    more: dict[str, object] | None = None,
) -> None:
    await audit.record(
        connection,
        principal,
        key.project_id,
        action=action,
        resource_type="api_key",
        resource_id=key.id,
        request_id=request_id,
        details={"name": key.name, "scopes": list(key.scopes), **(more or {})},
    )
