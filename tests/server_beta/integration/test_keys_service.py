"""Keys are made, listed, rotated and revoked by whom they belong to, and nothing of it goes unrecorded."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server_beta.domain.api_keys import DEFAULT_GRACE, KeyFilter, KeyStatus, NewKey, hash_key
from server_beta.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from server_beta.domain.ids import ApiKeyId, ProjectId, new_id
from server_beta.domain.principals import Principal, Scope
from server_beta.services.access import Access
from server_beta.services.keys import Keys
from server_beta.services.local_key import LocalKey
from server_beta.storage import tenants
from server_beta.storage.database import Database
from tests.support.clock import FrozenClock
from tests.support.counting import count, run_sql
from tests.support.tenants import Tenant, make_tenant

_READ = frozenset({Scope.OBSERVATIONS_READ})


@pytest.fixture
def keys(store: Database, clock: FrozenClock, tmp_path: Path) -> Keys:
    return Keys(store, clock, LocalKey(tmp_path))


@pytest.fixture
def admin(tenant: Tenant) -> Principal:
    return Principal(tenant.principal.team_id, None, ApiKeyId(new_id()), frozenset({Scope.ADMIN}))


async def _opens(store: Database, clock: FrozenClock, text: str) -> bool:
    """Ask a process that has never heard of the key."""
    try:
        await Access(store, clock, "api-key").authenticate(text, remote_is_loopback=True, proxied=False)
    except Forbidden:
        return False
    return True


async def _audited(store: Database) -> list[dict[str, Any]]:
    return await run_sql(store, "SELECT * FROM audit_log ORDER BY created_at, id")


async def _states(store: Database) -> list[dict[str, Any]]:
    return await run_sql(store, "SELECT * FROM api_keys ORDER BY id")


async def test_a_new_key_opens_what_was_asked_for_and_is_stored_as_a_hash(
    keys: Keys, store: Database, clock: FrozenClock, tenant: Tenant
) -> None:
    asked = NewKey("ci", _READ, tenant.project.id, clock.now() + timedelta(hours=1))
    made = await keys.create(tenant.principal, asked, "request-1")
    caller = await Access(store, clock, "api-key").authenticate(made.text, remote_is_loopback=True, proxied=False)
    assert (caller.team_id, caller.project_id, caller.scopes) == (tenant.project.team_id, tenant.project.id, _READ)
    (row,) = await _states(store)
    assert row["key_hash"] == hash_key(made.text)
    assert made.text not in str(row)
    assert made.text not in repr(made)


async def test_every_change_is_recorded_with_who_and_under_which_request(
    keys: Keys, store: Database, tenant: Tenant, admin: Principal
) -> None:
    made = await keys.create(admin, NewKey("ci", _READ, tenant.project.id), "request-1")
    replacement = await keys.rotate(admin, made.stored.id, timedelta(seconds=5), "request-2")
    await keys.revoke(admin, replacement.stored.id, "request-3")
    recorded = await _audited(store)
    assert [(row["action"], row["resource_id"], row["request_id"]) for row in recorded] == [
        ("api_key.created", str(made.stored.id), "request-1"),
        ("api_key.rotated", str(replacement.stored.id), "request-2"),
        ("api_key.revoked", str(replacement.stored.id), "request-3"),
    ]
    assert {(row["actor"], row["api_key_id"]) for row in recorded} == {(admin.actor, admin.key_id)}
    assert {row["project_id"] for row in recorded} == {tenant.project.id}
    assert recorded[1]["details"] == {
        **{"name": "ci", "scopes": ["observations:read"]},
        **{"rotatedFrom": str(made.stored.id), "graceSeconds": 5},
    }
    assert not any(secret.text in str(recorded) for secret in (made, replacement))


async def test_nobody_makes_a_key_that_may_more_than_they(keys: Keys, store: Database, tenant: Tenant) -> None:
    holder = Principal(tenant.principal.team_id, None, None, frozenset({Scope.KEYS_WRITE, Scope.JOBS_READ}))
    for scopes in ({Scope.OBSERVATIONS_READ}, {Scope.JOBS_READ, Scope.EVENTS_WRITE}, {Scope.ADMIN}):
        with pytest.raises(Forbidden):
            await keys.create(holder, NewKey("more", frozenset(scopes)), None)
    assert not await count(store, "api_keys")
    assert not await count(store, "audit_log")
    await keys.create(holder, NewKey("as much", holder.scopes), None)


async def test_only_a_key_for_keys_governs_keys(keys: Keys, store: Database, tenant: Tenant) -> None:
    made = await keys.create(tenant.principal, NewKey("ci", _READ), None)
    other = Principal(tenant.principal.team_id, None, None, frozenset(Scope) - {Scope.KEYS_WRITE, Scope.ADMIN})
    for refused in (
        keys.create(other, NewKey("x", _READ), None),
        keys.list(other, KeyFilter()),
        keys.rotate(other, made.stored.id, DEFAULT_GRACE, None),
        keys.revoke(other, made.stored.id, None),
    ):
        with pytest.raises(Forbidden):
            await refused
    assert len(await _states(store)) == 1


async def test_a_project_s_key_makes_and_sees_keys_of_its_project_alone(
    keys: Keys, store: Database, tenant: Tenant
) -> None:
    async with store.connection() as connection:
        sibling, _ = await tenants.find_or_create_project(connection, tenant.principal.team_id, "git:b/c", "sibling")
    bound = Principal(tenant.principal.team_id, tenant.project.id, None, tenant.principal.scopes)
    made = await keys.create(bound, NewKey("own", _READ), None)
    assert made.stored.project_id == tenant.project.id
    with pytest.raises(NotFound):
        await keys.create(bound, NewKey("sibling's", _READ, sibling.id), None)
    team_wide = await keys.create(tenant.principal, NewKey("team's", _READ), None)
    for refused in (
        keys.revoke(bound, team_wide.stored.id, None),
        keys.rotate(bound, team_wide.stored.id, DEFAULT_GRACE, None),
        keys.list(bound, KeyFilter(project_id=sibling.id)),
    ):
        with pytest.raises(NotFound):
            await refused
    listed, _ = await keys.list(bound, KeyFilter())
    assert [key.id for key in listed] == [made.stored.id]


async def test_another_team_s_keys_and_projects_are_not_there(keys: Keys, store: Database, tenant: Tenant) -> None:
    foreign = await make_tenant(store, "elsewhere")
    made = await keys.create(tenant.principal, NewKey("ci", _READ), None)
    before = await _states(store)
    for refused in (
        keys.revoke(foreign.principal, made.stored.id, None),
        keys.rotate(foreign.principal, made.stored.id, DEFAULT_GRACE, None),
        keys.create(foreign.principal, NewKey("x", _READ, tenant.project.id), None),
        keys.create(foreign.principal, NewKey("x", _READ, ProjectId(new_id())), None),
        keys.revoke(tenant.principal, ApiKeyId(new_id()), None),
    ):
        with pytest.raises(NotFound):
            await refused
    assert await _states(store) == before
    assert await keys.list(foreign.principal, KeyFilter()) == ([], False)


async def test_revoking_twice_is_revoking_once(keys: Keys, store: Database, tenant: Tenant) -> None:
    made = await keys.create(tenant.principal, NewKey("ci", _READ), None)
    first = await keys.revoke(tenant.principal, made.stored.id, None)
    assert first.revoked_at is not None
    assert await keys.revoke(tenant.principal, made.stored.id, None) == first
    assert await count(store, "audit_log", "action = 'api_key.revoked'") == 1


async def test_only_an_administrator_ends_an_administrator_s_key(keys: Keys, tenant: Tenant, admin: Principal) -> None:
    mighty = await keys.create(admin, NewKey("admin", frozenset({Scope.ADMIN})), None)
    with pytest.raises(Forbidden):
        await keys.revoke(tenant.principal, mighty.stored.id, None)
    assert (await keys.revoke(admin, mighty.stored.id, None)).revoked_at is not None


async def test_a_rotated_key_goes_on_for_the_grace_beside_its_successor(
    keys: Keys, store: Database, clock: FrozenClock, tenant: Tenant
) -> None:
    ends = clock.now() + timedelta(days=1)
    old = await keys.create(tenant.principal, NewKey("ci", _READ, tenant.project.id, ends), None)
    new = await keys.rotate(tenant.principal, old.stored.id, timedelta(seconds=60), None)
    carried = ("team_id", "project_id", "name", "scopes", "expires_at")
    assert [getattr(new.stored, name) for name in carried] == [getattr(old.stored, name) for name in carried]
    assert new.stored.rotated_from == old.stored.id
    clock.advance(timedelta(seconds=59, milliseconds=999))
    assert await _opens(store, clock, old.text)
    clock.advance(timedelta(milliseconds=1))
    assert not await _opens(store, clock, old.text)
    assert await _opens(store, clock, new.text)
    clock.advance(ends - clock.now())
    assert not await _opens(store, clock, new.text)


async def test_a_grace_never_lengthens_a_life(keys: Keys, store: Database, clock: FrozenClock, tenant: Tenant) -> None:
    old = await keys.create(tenant.principal, NewKey("ci", _READ, None, clock.now() + timedelta(seconds=5)), None)
    await keys.rotate(tenant.principal, old.stored.id, timedelta(seconds=60), None)
    clock.advance(timedelta(seconds=5))
    assert not await _opens(store, clock, old.text)


async def test_without_a_grace_the_old_key_ends_as_the_new_one_begins(
    keys: Keys, store: Database, clock: FrozenClock, tenant: Tenant
) -> None:
    old = await keys.create(tenant.principal, NewKey("ci", _READ), None)
    rotation = asyncio.create_task(keys.rotate(tenant.principal, old.stored.id, timedelta(), None))
    usable: set[int] = set()
    while not rotation.done():
        usable.add(await count(store, "api_keys", "revoked_at IS NULL"))
    assert usable == {1}
    assert not await _opens(store, clock, old.text)
    assert await _opens(store, clock, (await rotation).text)


async def test_a_rotation_that_fails_leaves_the_old_key_as_it_was(
    keys: Keys, store: Database, clock: FrozenClock, tenant: Tenant
) -> None:
    old = await keys.create(tenant.principal, NewKey("ci", _READ), None)
    # The last thing that a rotation writes.
    await run_sql(store, "ALTER TABLE audit_log ADD CONSTRAINT refuses CHECK (action <> 'api_key.rotated') NOT VALID")
    for grace in (timedelta(), DEFAULT_GRACE):
        with pytest.raises(Exception, match="refuses"):
            await keys.rotate(tenant.principal, old.stored.id, grace, None)
    (row,) = await _states(store)
    assert (row["revoked_at"], row["expires_at"]) == (None, None)
    assert await _opens(store, clock, old.text)


async def test_a_key_that_is_of_no_use_is_not_rotated(
    keys: Keys, store: Database, clock: FrozenClock, tenant: Tenant, admin: Principal
) -> None:
    revoked = await keys.create(tenant.principal, NewKey("revoked", _READ), None)
    await keys.revoke(tenant.principal, revoked.stored.id, None)
    expired = await keys.create(tenant.principal, NewKey("expired", _READ, None, clock.now() + DEFAULT_GRACE), None)
    clock.advance(DEFAULT_GRACE)
    mighty = await keys.create(admin, NewKey("admin", frozenset({Scope.ADMIN})), None)
    before = await _states(store)
    for refused, error in ((revoked, Conflict), (expired, Conflict), (mighty, Forbidden)):
        with pytest.raises(error):
            await keys.rotate(tenant.principal, refused.stored.id, DEFAULT_GRACE, None)
    assert await _states(store) == before


async def test_of_rotations_that_race_one_wins(keys: Keys, store: Database, tenant: Tenant) -> None:
    old = await keys.create(tenant.principal, NewKey("ci", _READ), None)
    outcomes = await asyncio.gather(
        *(keys.rotate(tenant.principal, old.stored.id, DEFAULT_GRACE, None) for _ in range(8)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 7 + ["IssuedKey"]
    assert await count(store, "api_keys") == 2


async def test_a_key_that_would_have_ended_already_is_not_made(
    keys: Keys, store: Database, clock: FrozenClock, tenant: Tenant
) -> None:
    with pytest.raises(InvalidInput):
        await keys.create(tenant.principal, NewKey("past", _READ, None, clock.now()), None)
    assert not await count(store, "api_keys")


async def test_a_name_is_protected_like_everything_else(keys: Keys, store: Database, tenant: Tenant) -> None:
    made = await keys.create(tenant.principal, NewKey("for <private>canary-7f3a</private>", _READ), None)
    assert "canary" not in made.stored.name + str(await _audited(store))


@pytest.mark.parametrize(
    ("status", "names"),
    [
        (None, ["revoked", "expired", "active"]),
        (KeyStatus.ACTIVE, ["active"]),
        (KeyStatus.EXPIRED, ["expired"]),
        (KeyStatus.REVOKED, ["revoked"]),
    ],
)
async def test_keys_are_listed_newest_first_by_status_and_page(
    keys: Keys, clock: FrozenClock, tenant: Tenant, status: KeyStatus | None, names: list[str]
) -> None:
    await keys.create(tenant.principal, NewKey("active", _READ), None)
    await keys.create(tenant.principal, NewKey("expired", _READ, None, clock.now() + DEFAULT_GRACE), None)
    revoked = await keys.create(tenant.principal, NewKey("revoked", _READ, None, clock.now() + DEFAULT_GRACE), None)
    await keys.revoke(tenant.principal, revoked.stored.id, None)
    clock.advance(DEFAULT_GRACE)
    found: list[str] = []
    wanted = KeyFilter(status=status, limit=1)
    has_more = True
    while has_more:
        page, has_more = await keys.list(tenant.principal, wanted)
        found += [key.name for key in page]
        wanted = KeyFilter(status=status, limit=1, after=(page[-1].created_at, page[-1].id))
    assert found == names
