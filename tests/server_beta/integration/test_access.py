"""Who is let in, and what is made once however many ask for it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import asyncpg
import pytest

from server_beta.domain.api_keys import hash_key, new_key
from server_beta.domain.errors import Forbidden, Unavailable
from server_beta.services.access import Access
from server_beta.services.projects import Projects
from server_beta.storage import keys
from server_beta.storage.database import Database
from tests.support.clock import FrozenClock
from tests.support.counting import count, run_sql
from tests.support.tenants import Tenant
from tests.support.waiting import eventually


@pytest.fixture
def access(store: Database, clock: FrozenClock) -> Access:
    return Access(store, clock, "api-key")


async def _key(store: Database, tenant: Tenant, clock: FrozenClock, *scopes: str) -> str:
    key = new_key()
    async with store.connection() as connection:
        expires_at = clock.now() + timedelta(minutes=1)
        await keys.insert(connection, tenant.principal.team_id, None, "test", hash_key(key), scopes, expires_at)
    return key


async def _is_let_in(access: Access, key: str) -> bool:
    try:
        await access.authenticate(key, remote_is_loopback=True, proxied=False)
    except Forbidden:
        return False
    return True


async def test_a_revoked_key_is_refused_within_a_second(
    access: Access, store: Database, tenant: Tenant, clock: FrozenClock
) -> None:
    key = await _key(store, tenant, clock, "observations:read")
    assert await _is_let_in(access, key)
    await run_sql(store, "UPDATE api_keys SET revoked_at = now()")

    async def is_refused() -> bool:
        return not await _is_let_in(access, key)

    await eventually(is_refused, within=1)


async def test_the_memory_of_a_key_in_constant_use_is_not_lengthened(
    access: Access, store: Database, tenant: Tenant, clock: FrozenClock
) -> None:
    key = await _key(store, tenant, clock, "observations:read")
    assert await _is_let_in(access, key)
    await run_sql(store, "UPDATE api_keys SET revoked_at = now()")
    revoked_at = time.monotonic()
    while await _is_let_in(access, key):
        assert time.monotonic() < revoked_at + 1


async def test_a_slow_answer_of_the_database_does_not_lengthen_the_memory(
    access: Access, store: Database, tenant: Tenant, clock: FrozenClock
) -> None:
    key = await _key(store, tenant, clock, "observations:read")
    async with store.transaction() as connection:
        # Who asks now is answered only when this ends.
        await connection._connection.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
        asking = asyncio.create_task(_is_let_in(access, key))
        await connection._connection.execute("SELECT pg_sleep(0.6)")
    assert await asking
    await run_sql(store, "UPDATE api_keys SET revoked_at = now()")
    assert not await _is_let_in(access, key)


async def test_those_who_ask_at_once_share_a_question_as_long_as_it_is_young(
    access: Access, store: Database, tenant: Tenant, clock: FrozenClock
) -> None:
    key = await _key(store, tenant, clock, "observations:read")

    async def questions() -> int:
        return await count(store, "pg_locks", "NOT granted AND relation = 'api_keys'::regclass")

    async with store.transaction() as connection:
        # Who asks now is answered only when this ends.
        await connection._connection.execute("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE")
        asking = [asyncio.create_task(_is_let_in(access, key)) for _ in range(10)]
        await eventually(questions)
        await connection._connection.execute("SELECT pg_sleep(0.6)")
        assert await questions() == 1

        async def are_two() -> bool:
            return await questions() == 2

        # An answer to the first question may tell how it was before this one asks.
        asking += [asyncio.create_task(_is_let_in(access, key)) for _ in range(2)]
        await eventually(are_two)
        # One who goes away does not take the answer away from the others.
        asking.pop(0).cancel()
    assert await asyncio.gather(*asking) == [True] * 11


async def test_a_remembered_key_expires_to_the_instant(
    access: Access, store: Database, tenant: Tenant, clock: FrozenClock
) -> None:
    key = await _key(store, tenant, clock, "observations:read")
    clock.advance(timedelta(seconds=59, microseconds=999_999))
    assert await _is_let_in(access, key)
    clock.advance(timedelta(microseconds=1))
    assert not await _is_let_in(access, key)


async def test_an_expired_key_is_refused(access: Access, store: Database, tenant: Tenant, clock: FrozenClock) -> None:
    key = await _key(store, tenant, clock, "observations:read")
    clock.advance(timedelta(minutes=1))
    assert not await _is_let_in(access, key)


async def test_a_key_with_a_scope_of_a_later_version_is_refused(
    access: Access, store: Database, tenant: Tenant, clock: FrozenClock
) -> None:
    assert not await _is_let_in(access, await _key(store, tenant, clock, "observations:read", "stars:write"))


async def test_callers_that_race_for_a_new_project_make_it_once(store: Database, tenant: Tenant) -> None:
    made = await asyncio.gather(
        *(Projects(store).find_or_create(tenant.principal, "git:example.org/new", "new", None) for _ in range(10))
    )
    assert [is_new for _, is_new in made].count(True) == 1
    assert len({project.id for project, _ in made}) == 1
    assert await count(store, "audit_log", "action = 'project.created'") == 1


async def test_a_transaction_that_the_database_gives_up_can_be_tried_again(store: Database) -> None:
    with pytest.raises(Unavailable):
        await run_sql(store, "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$")


async def test_a_driver_that_lost_its_server_in_the_midst_of_an_answer_finds_the_database_away(store: Database) -> None:
    with pytest.raises(Unavailable):
        async with store.connection():
            raise asyncpg.InternalClientError("unknown error in protocol implementation")
