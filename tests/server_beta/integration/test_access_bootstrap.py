"""The local key: one that works in each data folder, however many ask for it and whatever lay there before."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from server_beta.domain.api_keys import NewKey, hash_key, new_key
from server_beta.domain.errors import Conflict, StartRefused
from server_beta.domain.principals import LOCAL_SCOPES, Principal, Scope
from server_beta.domain.tenancy import LOCAL_TEAM_ID
from server_beta.services.access import Access
from server_beta.services.bootstrap_local import bootstrap_local
from server_beta.services.keys import Keys
from server_beta.services.local_key import KEY_FILE, LocalKey
from server_beta.storage import keys as stored_keys
from server_beta.storage.database import Database
from tests.support.clock import FrozenClock
from tests.support.counting import count, run_sql
from tests.support.processes import clean_environment
from tests.support.tenants import make_tenant

_LIVE = "installation_id IS NOT NULL AND revoked_at IS NULL"
_LOCAL = Principal(LOCAL_TEAM_ID, None, None, LOCAL_SCOPES)

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from server_beta.domain.ports import SystemClock
from server_beta.services.bootstrap_local import bootstrap_local
from server_beta.storage.database import Database
from server_beta.storage.migrate import migrate

async def main(dsn, folder):
    await migrate(dsn)
    database = await Database.open(dsn, most_connections=1)
    await bootstrap_local(database, Path(folder), SystemClock())
    await database.close(5)

asyncio.run(main(*sys.argv[1:]))
"""


async def _run(dsn: str, folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PROGRAM, dsn, str(folder)),
        env=clean_environment(folder),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def _opens(store: Database, clock: FrozenClock, folder: Path) -> Principal:
    text = LocalKey(folder).read()
    return await Access(store, clock, "api-key").authenticate(text, remote_is_loopback=True, proxied=False)


async def _rows(store: Database) -> list[dict[str, Any]]:
    return await run_sql(store, "SELECT * FROM api_keys ORDER BY created_at, id")


@pytest.mark.parametrize("folders", [1, 20])
async def test_twenty_processes_on_an_empty_database_make_one_team_and_one_key_a_folder(
    empty_database: str, clock: FrozenClock, tmp_path: Path, folders: int
) -> None:
    places = [tmp_path / str(number) for number in range(folders)]
    for place in places:
        place.mkdir()
    await asyncio.gather(*(_run(empty_database, places[number % folders]) for number in range(20)))
    store = await Database.open(empty_database)
    try:
        assert await count(store, "teams") == 1
        assert await count(store, "api_keys") == folders
        for place in places:
            caller = await _opens(store, clock, place)
            assert (caller.team_id, caller.project_id, caller.scopes) == (LOCAL_TEAM_ID, None, LOCAL_SCOPES)
            assert {path.name for path in place.iterdir()} == {KEY_FILE, ".server-beta.installation"}
            assert all(path.stat().st_mode & 0o777 == 0o600 for path in place.iterdir())
    finally:
        await store.close(5)


async def test_starts_that_find_the_key_lost_at_the_same_time_make_one(
    store: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    await bootstrap_local(store, tmp_path, clock)
    (tmp_path / KEY_FILE).unlink()
    # So that none of them has to wait for its connection while another is done already.
    await asyncio.gather(*(run_sql(store, "SELECT pg_sleep(0.2)") for _ in range(8)))
    await asyncio.gather(*(bootstrap_local(store, tmp_path, clock) for _ in range(8)))
    await _opens(store, clock, tmp_path)
    assert await count(store, "api_keys") == 2
    assert await count(store, "api_keys", _LIVE) == 1


async def test_a_key_that_works_stays(store: Database, clock: FrozenClock, tmp_path: Path) -> None:
    await bootstrap_local(store, tmp_path, clock)
    key = LocalKey(tmp_path).read()
    await bootstrap_local(store, tmp_path, clock)
    assert LocalKey(tmp_path).read() == key
    assert await count(store, "audit_log") == 1


@pytest.mark.parametrize("content", [None, b"", b"cmem_garbled", b"\xff\x00\xfe", b"cmem_" + b"0" * 49])
async def test_a_lost_or_garbled_key_is_replaced_and_revoked(
    store: Database, clock: FrozenClock, tmp_path: Path, content: bytes | None
) -> None:
    await bootstrap_local(store, tmp_path, clock)
    path = tmp_path / KEY_FILE
    path.unlink() if content is None else path.write_bytes(content)
    await bootstrap_local(store, tmp_path, clock)
    lost, made = await _rows(store)
    assert (lost["revoked_at"] is None, made["revoked_at"] is None) == (False, True)
    assert (await _opens(store, clock, tmp_path)).key_id == made["id"]
    recorded = {(row["action"], row["resource_id"]) for row in await run_sql(store, "SELECT * FROM audit_log")}
    created, revoked = "api_key.created", "api_key.revoked"
    assert recorded == {(created, str(lost["id"])), (revoked, str(lost["id"])), (created, str(made["id"]))}


@pytest.mark.parametrize("end", ["revoked_at = now()", "expires_at = '2026-01-01'", "scopes = '{observations:read}'"])
async def test_a_key_that_does_not_open_what_it_must_is_replaced(
    store: Database, clock: FrozenClock, tmp_path: Path, end: str
) -> None:
    await bootstrap_local(store, tmp_path, clock)
    await run_sql(store, f"UPDATE api_keys SET {end}")
    await bootstrap_local(store, tmp_path, clock)
    assert (await _opens(store, clock, tmp_path)).scopes == LOCAL_SCOPES
    assert await count(store, "api_keys", "revoked_at IS NULL") == 1


async def test_a_foreign_key_in_the_file_is_replaced_and_goes_on_working(
    store: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    await bootstrap_local(store, theirs, clock)
    tenant = await make_tenant(store)
    of_team = await Keys(store, clock, LocalKey(ours)).create(
        tenant.principal, NewKey("another team's", frozenset({Scope.EVENTS_WRITE})), None
    )
    their_key = LocalKey(theirs).read() or ""
    for foreign in (their_key, of_team.text, new_key()):
        LocalKey(ours).write(foreign)
        await bootstrap_local(store, ours, clock)
        assert LocalKey(ours).read() not in {their_key, of_team.text, foreign}
    assert await count(store, "api_keys", _LIVE) == 2
    assert await count(store, "api_keys", "revoked_at IS NULL") == 3
    await _opens(store, clock, theirs)


async def test_a_local_key_from_before_folders_were_identified_is_kept(
    store: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    await bootstrap_local(store, tmp_path, clock)
    await run_sql(store, "UPDATE api_keys SET installation_id = NULL")
    key = LocalKey(tmp_path).read()
    await bootstrap_local(store, tmp_path, clock)
    assert LocalKey(tmp_path).read() == key
    assert await count(store, "api_keys", _LIVE) == 1


async def test_a_key_file_restored_from_long_ago_does_not_make_a_second_key(
    store: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    await bootstrap_local(store, tmp_path, clock)
    text = new_key()
    async with store.connection() as connection:
        await stored_keys.insert(
            *(connection, LOCAL_TEAM_ID, None, "local", hash_key(text), sorted(LOCAL_SCOPES), None),
            created_by="system:bootstrap",
        )
    LocalKey(tmp_path).write(text)
    await bootstrap_local(store, tmp_path, clock)
    assert LocalKey(tmp_path).read() != text
    assert await count(store, "api_keys", _LIVE) == 1


async def test_a_key_that_cannot_be_written_down_is_not_made(
    store: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(StartRefused, match=KEY_FILE):
        await bootstrap_local(store, tmp_path, clock)
    assert not await count(store, "api_keys")
    assert {path.name for path in tmp_path.iterdir()} == {KEY_FILE, ".server-beta.installation"}


async def test_rotating_the_local_key_puts_the_new_one_into_its_file(
    store: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    await bootstrap_local(store, tmp_path, clock)
    old = await _opens(store, clock, tmp_path)
    assert old.key_id is not None
    issued = await Keys(store, clock, LocalKey(tmp_path)).rotate(old, old.key_id, timedelta(seconds=60), None)
    assert LocalKey(tmp_path).read() == issued.text
    assert (await _opens(store, clock, tmp_path)).key_id == issued.stored.id
    await bootstrap_local(store, tmp_path, clock)
    assert LocalKey(tmp_path).read() == issued.text
    assert await count(store, "api_keys", _LIVE) == 1


async def test_a_rotation_of_the_local_key_that_fails_leaves_its_file_as_it_was(
    store: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    await bootstrap_local(store, tmp_path, clock)
    old, key = await _opens(store, clock, tmp_path), LocalKey(tmp_path).read()
    assert old.key_id is not None
    await run_sql(store, "ALTER TABLE audit_log ADD CONSTRAINT refuses CHECK (action <> 'api_key.rotated') NOT VALID")
    with pytest.raises(Exception, match="refuses"):
        await Keys(store, clock, LocalKey(tmp_path)).rotate(old, old.key_id, timedelta(seconds=60), None)
    assert LocalKey(tmp_path).read() == key
    assert {path.name for path in tmp_path.iterdir()} == {KEY_FILE, ".server-beta.installation"}
    assert (await _opens(store, clock, tmp_path)).key_id == old.key_id


async def test_another_folder_s_local_key_is_not_rotated_from_here(
    store: Database, clock: FrozenClock, tmp_path: Path
) -> None:
    await bootstrap_local(store, tmp_path, clock)
    old = await _opens(store, clock, tmp_path)
    assert old.key_id is not None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(Conflict, match="another data folder"):
        await Keys(store, clock, LocalKey(elsewhere)).rotate(_LOCAL, old.key_id, timedelta(seconds=60), None)
    await _opens(store, clock, tmp_path)
