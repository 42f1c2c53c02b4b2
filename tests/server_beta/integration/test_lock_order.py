"""Whatever is done to a project at the same time, nobody is given up for a deadlock."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from server_beta.domain.api_keys import NewKey
from server_beta.domain.authored import Authored
from server_beta.domain.errors import Conflict, NotFound
from server_beta.domain.ids import ApiKeyId, JobId, ObservationId, ProjectId, SessionId, new_id
from server_beta.domain.ports import SystemClock
from server_beta.domain.principals import Principal, Scope
from server_beta.domain.records import NewEvent, NewSession
from server_beta.services.author import Author
from server_beta.services.close_turns import CloseTurns
from server_beta.services.delete_tenant import DeleteTenant
from server_beta.services.group_commit import GroupCommit
from server_beta.services.ingest import Ingest
from server_beta.services.jobs import Jobs
from server_beta.services.keys import Keys
from server_beta.services.local_key import LocalKey
from server_beta.services.ownership import Ownership
from server_beta.services.purge import Purge
from server_beta.services.relay import Relay
from server_beta.services.sessions import Sessions
from server_beta.services.signals import Signals
from server_beta.storage import changes, events, job_operations, jobs, keys, observations, purge, sessions, tenants
from server_beta.storage.database import Database
from server_beta.storage.events import Call
from tests.support.chain import Chain, titled
from tests.support.counting import run_sql
from tests.support.providers import ScriptedProvider
from tests.support.tenants import BEGINNING, Tenant, make_tenant
from tests.support.transports import HeldTransport
from tests.support.waiting import eventually

_SECONDS = 6.0
# Each is one task of each server, those that are named twice are two.
_ACTS = (
    *("start_session", "record", "record", "publish", "rescue", "work", "work", "end_session", "delete_session"),
    *("blank", "write", "reword", "unsay", "cancel", "retry", "use_keys", "sweep", "forget", "replace_project"),
)


@dataclass
class Crowd:
    """A server's worth of services on one store, and projects of one team to use them on."""

    store: Database
    admin: Principal
    chosen: random.Random
    folder: Path
    projects: list[ProjectId] = field(default_factory=list)

    def __post_init__(self) -> None:
        transport = HeldTransport()
        self.relay = Relay(self.store, transport)
        self.ingest = Ingest(self.store, Ownership(self.store), GroupCommit(self.store), self.relay, SystemClock())
        self.sessions = Sessions(self.store, self.relay)
        self.author = Author(self.store)
        self.jobs = Jobs(self.store, Signals(), self.relay)
        self.keys = Keys(self.store, SystemClock(), LocalKey(self.folder))
        self.purge = Purge(self.store, transport)
        tenant = Tenant(self.admin, None, None)  # type: ignore[arg-type]
        self.generate = Chain(self.store, tenant, self.relay, self.ingest, transport).generate(
            ScriptedProvider(titled("one", "two"))
        )

    async def some(self, table: str, where: str = "true") -> tuple[UUID, ProjectId]:
        """Choose a row."""
        rows = await run_sql(self.store, f"SELECT id, project_id FROM {table} WHERE {where} ORDER BY random() LIMIT 1")
        if not rows:
            raise NotFound
        return rows[0]["id"], ProjectId(rows[0]["project_id"])  # type: ignore[return-value, arg-type]

    async def start_session(self) -> None:
        new = NewSession(self.chosen.choice(self.projects), external_session_id=f"s-{self.chosen.randrange(8)}")
        await self.sessions.start(self.admin, new, None)

    async def record(self) -> None:
        called: list[tuple[NewEvent, Call]] = []
        for session_id, project_id in [await self.some("server_sessions") for _ in range(3)]:
            for call in ("event", "content", "close"):
                new = NewEvent(
                    project_id,
                    "note",
                    BEGINNING,
                    {"text": str(self.chosen.random())},
                    session_id=SessionId(session_id),
                    turn_key=f"turn-{self.chosen.randrange(3)}",
                )
                called.append((new, call))
        self.chosen.shuffle(called)
        await self.ingest.store(self.admin, called, request_id=None)

    async def publish(self) -> None:
        await self.relay.publish_offered()
        await self.relay.sweep()
        async with self.store.connection() as connection:
            due = list(await jobs.unpublished(connection, -timedelta(seconds=9), timedelta(0), 200))
            self.chosen.shuffle(due)
            await jobs.mark_enqueued(connection, due)

    async def rescue(self) -> None:
        await run_sql(
            self.store,
            "UPDATE observation_generation_jobs SET locked_until = now(), max_attempts = attempts"
            " WHERE id = (SELECT id FROM observation_generation_jobs WHERE status = 'processing'"
            " LIMIT 1 FOR UPDATE SKIP LOCKED)",
        )
        await self.relay.rescue()

    async def work(self) -> None:
        async with self.store.connection() as connection:
            due = list(await jobs.unpublished(connection, -timedelta(seconds=9), timedelta(0), 50))
        if not due:
            raise NotFound
        await self.generate.run(self.chosen.choice(due))

    async def end_session(self) -> None:
        session_id, project_id = await self.some("server_sessions", "ended_at IS NULL")
        if self.chosen.random() < 0.5:
            await self.sessions.end(self.admin, SessionId(session_id), None)
            return
        async with self.store.transaction() as connection:
            await sessions.end(connection, self.admin.team_id, project_id, SessionId(session_id))

    async def delete_session(self) -> None:
        session_id, project_id = await self.some("server_sessions")
        async with self.store.transaction() as connection:
            await sessions.delete(connection, self.admin.team_id, project_id, SessionId(session_id))

    async def blank(self) -> None:
        session_id, project_id = await self.some("server_sessions")
        async with self.store.transaction() as connection:
            await job_operations.hold_tenant(connection, self.admin.team_id, project_id)
            await events.blank_turn(connection, self.admin.team_id, project_id, SessionId(session_id), "turn-1")

    async def write(self) -> None:
        said = Authored(content=f"Something {self.chosen.random()}")
        await self.author.write(self.admin, self.chosen.choice(self.projects), None, said, None)

    async def reword(self) -> None:
        observation_id, _ = await self.some("observations")
        said = Authored(content=f"Something {self.chosen.random()}")
        await self.author.change(self.admin, ObservationId(observation_id), said, None)

    async def unsay(self) -> None:
        observation_id, _ = await self.some("observations")
        await self.author.delete(self.admin, ObservationId(observation_id), None)

    async def cancel(self) -> None:
        job_id, _ = await self.some("observation_generation_jobs", "status IN ('queued', 'processing')")
        await self.jobs.cancel(self.admin, JobId(job_id), None)

    async def retry(self) -> None:
        job_id, _ = await self.some("observation_generation_jobs", "status IN ('failed', 'cancelled')")
        await self.jobs.retry(self.admin, JobId(job_id), None)

    async def use_keys(self) -> None:
        wanted = NewKey("key", frozenset({Scope.JOBS_READ}), self.chosen.choice(self.projects), None)
        issued = await self.keys.create(self.admin, wanted, None)
        known = await run_sql(self.store, "SELECT id FROM api_keys ORDER BY random()")
        async with self.store.connection() as connection:
            await keys.touch(connection, {ApiKeyId(row["id"]) for row in known})  # type: ignore[arg-type]
        await self.keys.revoke(self.admin, issued.stored.id, None)

    async def sweep(self) -> None:
        await CloseTurns(self.store, self.relay, idle=timedelta(0)).run()
        async with self.store.connection() as connection:
            await changes.prune(connection, timedelta(0), 500)

    async def forget(self) -> None:
        await self.purge.run(self.admin, self.projects[0], None)

    async def replace_project(self) -> None:
        gone = self.projects[-1]
        async with self.store.connection() as connection:
            made, _ = await tenants.find_or_create_project(connection, self.admin.team_id, f"git:{new_id()}", "new")
        self.projects[-1] = made.id
        if self.chosen.random() < 0.5:
            await DeleteTenant(self.store, self.purge).project(self.admin, gone, None)
            return
        async with self.store.transaction() as connection:
            await tenants.delete_project(connection, self.admin.team_id, gone)


async def _again_and_again(act: Callable[[], Awaitable[None]], done: Counter[str], until: float) -> None:
    while time.monotonic() < until:
        try:
            await act()
            done[act.__name__] += 1
        except (NotFound, Conflict):
            # Somebody else was faster, which is what this is about.
            await asyncio.sleep(0)


async def test_nobody_meets_anybody_halfway(database: str, tmp_path: Path) -> None:
    stores = [await Database.open(database) for _ in range(2)]
    tenant = await make_tenant(stores[0])
    admin = Principal(tenant.principal.team_id, None, None, frozenset(Scope))
    projects = [tenant.project.id]
    async with stores[0].connection() as connection:
        for number in range(2):
            made, _ = await tenants.find_or_create_project(connection, admin.team_id, f"git:{number}", "more")
            projects.append(made.id)
    done: Counter[str] = Counter()
    until = time.monotonic() + _SECONDS
    at_work = []
    for number, store in enumerate(stores):
        crowd = Crowd(store, admin, random.Random(number), tmp_path, projects)
        at_work += [_again_and_again(getattr(crowd, act), done, until) for act in _ACTS]
    failed = [one for one in await asyncio.gather(*at_work, return_exceptions=True) if one is not None]
    for store in stores:
        await store.close(5)
    assert await _deadlocks(database) == 0
    assert failed == []
    assert done.keys() == set(_ACTS), done


async def test_a_rescue_leaves_a_project_alone_that_somebody_deletes_in(chain: Chain) -> None:
    batch = await chain.turn("UserPromptSubmit", "Stop")
    store, tenant = chain.store, chain.tenant
    async with store.connection() as connection:
        assert await jobs.claim(connection, batch, "somebody", timedelta(0))
    await run_sql(store, "UPDATE observation_generation_jobs SET max_attempts = attempts")
    async with store.transaction() as deleting:
        assert await purge.hold(deleting, tenant.principal.team_id, tenant.project.id)
        async with asyncio.timeout(2):
            await chain.relay.rescue()
    assert await chain.status(batch) == "processing"
    await chain.relay.rescue()
    assert await chain.status(batch) == "failed"


async def test_a_purge_that_waits_for_somebody_holds_nothing_that_one_may_want(chain: Chain) -> None:
    store, tenant, team_id = chain.store, chain.tenant, chain.tenant.principal.team_id
    admin = Principal(team_id, None, None, frozenset(Scope))
    said = [Authored(content=f"Something {number}") for number in range(9)]
    made = [await Author(store).write(admin, tenant.project.id, None, one, None) for one in said]
    async with store.transaction() as connection:
        assert await observations.hold(connection, team_id, None, ObservationId(made[4].id))
        purging = asyncio.create_task(Purge(store, HeldTransport()).run(admin, tenant.project.id, None))

        async def is_blocked() -> bool:
            return bool(await run_sql(store, "SELECT FROM pg_locks WHERE NOT granted"))

        await eventually(is_blocked)
        for one in made:
            async with asyncio.timeout(0.5):
                assert await observations.hold(connection, team_id, None, ObservationId(one.id))
    assert (await purging).observations == 9


async def test_what_is_done_to_many_keys_and_changes_waits_for_none(chain: Chain, tmp_path: Path) -> None:
    store, tenant = chain.store, chain.tenant
    crowd = Crowd(store, Principal(tenant.principal.team_id, None, None, frozenset(Scope)), random.Random(0), tmp_path)
    wanted = NewKey("key", frozenset({Scope.JOBS_READ}), tenant.project.id, None)
    one, other = [(await crowd.keys.create(crowd.admin, wanted, None)).stored.id for _ in range(2)]
    async with store.transaction() as held, asyncio.timeout(2):
        assert await keys.lock(held, tenant.principal.team_id, None, one)
        assert await held._connection.fetch("SELECT FROM changes FOR UPDATE")
        async with store.connection() as connection:
            await keys.touch(connection, {one, other})
            assert await changes.prune(connection, timedelta(0), 10) == 0
    (used,) = await run_sql(store, "SELECT id FROM api_keys WHERE last_used_at IS NOT NULL")
    assert used == {"id": other}


async def test_who_waits_for_a_key_s_project_does_not_hold_the_key(chain: Chain, tmp_path: Path) -> None:
    store, tenant = chain.store, chain.tenant
    crowd = Crowd(store, Principal(tenant.principal.team_id, None, None, frozenset(Scope)), random.Random(0), tmp_path)
    wanted = NewKey("key", frozenset({Scope.JOBS_READ}), tenant.project.id, None)
    key_id = (await crowd.keys.create(crowd.admin, wanted, None)).stored.id
    async with store.transaction() as deleting:
        assert await purge.hold(deleting, tenant.principal.team_id, tenant.project.id)
        revoking = asyncio.create_task(crowd.keys.revoke(crowd.admin, key_id, None))

        async def is_blocked() -> bool:
            return bool(await run_sql(store, "SELECT FROM pg_locks WHERE NOT granted"))

        await eventually(is_blocked)
        assert await deleting._connection.fetch("SELECT FROM api_keys WHERE id = $1 FOR UPDATE NOWAIT", key_id)
    assert (await revoking).revoked_at is not None


async def _deadlocks(dsn: str) -> int:
    """Count them when all who may have met one have gone, which is when the last of them tells."""
    connection = await asyncpg.connect(dsn)
    try:

        async def is_alone() -> bool:
            others = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            return int(await connection.fetchval(others)) == 0

        await eventually(is_alone)
        return int(
            await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )
    finally:
        await connection.close()
