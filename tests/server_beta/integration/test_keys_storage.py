"""Every change to a key names its team and project, and one that names others changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from server_beta.domain.api_keys import hash_key, new_key
from server_beta.domain.errors import NotFound
from server_beta.domain.ids import ApiKeyId, ProjectId, TeamId, new_id
from server_beta.domain.records import ApiKey
from server_beta.storage import keys
from server_beta.storage.database import Connection, Database
from tests.support.counting import run_sql
from tests.support.tenants import BEGINNING, Tenant, make_tenant

Change = Callable[[Connection, TeamId, ProjectId | None, ApiKey], Awaitable[object]]

_INSTALLATION = UUID(int=7)


async def _revoke(connection: Connection, team_id: TeamId, only: ProjectId | None, key: ApiKey) -> object:
    return await keys.revoke(connection, team_id, only, key.id)


async def _retire(connection: Connection, team_id: TeamId, only: ProjectId | None, key: ApiKey) -> object:
    return await keys.retire(connection, team_id, only, key.id, BEGINNING)


async def _lock(connection: Connection, team_id: TeamId, only: ProjectId | None, key: ApiKey) -> object:
    return await keys.lock(connection, team_id, only, key.id)


async def _get(connection: Connection, team_id: TeamId, only: ProjectId | None, key: ApiKey) -> object:
    return await keys.get(connection, team_id, only, key.id)


async def _insert(
    store: Database, tenant: Tenant, project_id: ProjectId | None, installation_id: UUID | None = None
) -> ApiKey:
    async with store.connection() as connection:
        return await keys.insert(
            *(connection, tenant.principal.team_id, project_id, "test", hash_key(new_key()), ["admin"], None),
            installation_id=installation_id,
        )


@pytest.mark.parametrize("change", [_revoke, _retire, _lock, _get])
async def test_another_team_and_another_project_reach_no_key(store: Database, tenant: Tenant, change: Change) -> None:
    foreign = await make_tenant(store, "elsewhere")
    key = await _insert(store, tenant, tenant.project.id)
    before = await run_sql(store, "SELECT * FROM api_keys")
    own_team, other_team = tenant.principal.team_id, foreign.principal.team_id
    async with store.connection() as connection:
        for team_id, only in (
            (other_team, None),
            (other_team, tenant.project.id),
            (own_team, foreign.project.id),
            (own_team, ProjectId(new_id())),
        ):
            assert await change(connection, team_id, only, key) is None
        assert await run_sql(store, "SELECT * FROM api_keys") == before
        for only in (None, tenant.project.id):
            fresh = await _insert(store, tenant, tenant.project.id)
            assert await change(connection, own_team, only, fresh) is not None


async def test_local_keys_are_changed_in_their_own_team_alone(store: Database, tenant: Tenant) -> None:
    foreign = await make_tenant(store, "elsewhere")
    key = await _insert(store, tenant, None)
    bound = await _insert(store, tenant, tenant.project.id)
    own_team, other_team = tenant.principal.team_id, foreign.principal.team_id
    async with store.connection() as connection:
        assert not await keys.adopt(connection, other_team, _INSTALLATION, key.id)
        assert not await keys.adopt(connection, own_team, _INSTALLATION, bound.id)
        assert await keys.adopt(connection, own_team, _INSTALLATION, key.id)
        assert not await keys.adopt(connection, own_team, _INSTALLATION, key.id)
        assert not await keys.revoke_local(connection, other_team, _INSTALLATION)
        assert not await keys.revoke_local(connection, own_team, UUID(int=8))
        assert await keys.revoke_local(connection, own_team, _INSTALLATION) == [key.id]


async def test_a_key_is_not_tied_to_another_team_s_project_or_key(store: Database, tenant: Tenant) -> None:
    foreign = await make_tenant(store, "elsewhere")
    theirs = await _insert(store, foreign, None)
    with pytest.raises(NotFound):
        await _insert(store, tenant, foreign.project.id)
    with pytest.raises(NotFound):
        async with store.connection() as connection:
            await keys.insert(
                *(connection, tenant.principal.team_id, None, "test", hash_key(new_key()), ["admin"], None),
                rotated_from=ApiKeyId(theirs.id),
            )


async def test_retiring_only_shortens_a_life(store: Database, tenant: Tenant) -> None:
    team_id = tenant.principal.team_id
    key = await _insert(store, tenant, None, _INSTALLATION)
    async with store.connection() as connection:
        retired = await keys.retire(connection, team_id, None, key.id, BEGINNING)
        assert retired is not None
        assert (retired.expires_at, retired.installation_id) == (BEGINNING, None)
        again = await keys.retire(connection, team_id, None, key.id, BEGINNING + timedelta(seconds=1))
        assert again is not None
        assert again.expires_at == BEGINNING
