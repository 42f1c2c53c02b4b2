"""Every statement that changes something changes nothing in the wrong scope, and says so.

A new SQL file that changes rows needs a case here: how it is called with a team and a project.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid5

import asyncpg
import pytest

import server_beta.storage
from server_beta.domain.audit import SystemActor
from server_beta.domain.errors import NotFound
from server_beta.domain.ids import ApiKeyId, EventId, JobId, ObservationId, ProjectId, SessionId, TeamId, new_id
from server_beta.domain.jobs import Claim, Lane, Message, SourceType
from server_beta.domain.observations import Draft, Observation
from server_beta.domain.purge import Purged
from server_beta.domain.records import NewEvent, NewSession
from server_beta.domain.usage import Spent
from server_beta.storage import audit, events, job_operations, jobs, keys, observations, purge, sessions, tenants, usage
from server_beta.storage.database import Connection, Database
from server_beta.storage.statements import statement
from tests.support.catalog import links
from tests.support.population import NOON, Population, lasting_database, populate, snapshot
from tests.support.postgres import PostgresServer

_FOLDER = Path(server_beta.storage.__file__).parent / "queries"
_CHANGES_ROWS = re.compile(r"\b(INSERT INTO|DELETE FROM|MERGE INTO|TRUNCATE|UPDATE \w+( AS \w+)? SET)\b")
_MUTATIONS = sorted(
    name
    for name in (str(path.relative_to(_FOLDER).with_suffix("")) for path in _FOLDER.rglob("*.sql"))
    if _CHANGES_ROWS.search(statement(name))
)

# What has no scope to be wrong.
_OF_EVERY_TENANT = {
    "changes/prune": "forgets by age alone",
    "events/uncovered_turns": "a sweep: every row that it adds takes its scope from the events",
    "jobs/rescue": "a sweep: every row that it changes is found with its scope",
    "keys/touch": "writes the time of use of keys that were shown, before anybody's scope is known",
    "tenants/ensure_team": "makes the tenant",
}

_UNSCOPED = {"changes/prune", "keys/touch"}

_OURS, _THEIRS = Population("ours"), Population("theirs")
_TEAM, _PROJECT = TeamId(_OURS.team_id), ProjectId(_OURS.project_id)
_LEASE = timedelta(seconds=60)

Call = Callable[[Connection, TeamId, ProjectId], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Case:
    """How a statement is called.

    `names_a_row`: its other arguments name a row of one project, so that it must do nothing even in another project
    that is there. `of_team`: it takes no project.
    """

    call: Call
    names_a_row: bool = True
    of_team: bool = False

    def wrong(self) -> Iterator[tuple[TeamId, ProjectId]]:
        """Yield the scopes in which it must do nothing."""
        theirs, their_project = TeamId(_THEIRS.team_id), ProjectId(_THEIRS.project_id)
        yield TeamId(new_id()), _PROJECT
        if not self.of_team:
            yield theirs, _PROJECT
            yield _TEAM, their_project
            yield _TEAM, ProjectId(new_id())
        if self.names_a_row:
            yield theirs, their_project
            if not self.of_team:
                yield _TEAM, ProjectId(_OURS.sibling_id)


def _id(of: str) -> UUID:
    return _OURS.id(of, "project")


_SESSION = SessionId(_id("session"))


def _message(team_id: TeamId, project_id: ProjectId, job: str) -> Message:
    return Message(JobId(_id(job)), team_id, project_id, Lane.EVENT, 0)


def _claim(team_id: TeamId, project_id: ProjectId) -> Claim:
    """Return the claim on the job that is being worked on."""
    return Claim(
        job_id=JobId(_id("processing")),
        team_id=team_id,
        project_id=project_id,
        session_id=_SESSION,
        source_type=SourceType.EVENT_BATCH,
        source_id=_id("stop"),
        turn_key="turn-1",
        attempt=1,
        max_attempts=3,
        locked_until=NOON,
    )


def _observation(team_id: TeamId, project_id: ProjectId) -> Observation:
    return Observation(ObservationId(_id("fix")), project_id, team_id, _SESSION, Draft("change", "x"), NOON, NOON)


def _event(team_id: TeamId, project_id: ProjectId) -> events.Write:
    new = NewEvent(project_id, "note", NOON, {}, session_id=_SESSION)
    delivery = events.Delivery(team_id, None, "ada", "event.recorded", None, NOON, new_id())
    return events.Write(EventId(new_id()), new, "new", JobId(new_id()), "event", delivery)


def _audited(connection: Connection, team_id: TeamId, project_id: ProjectId) -> Awaitable[object]:
    return audit.record(
        connection,
        SystemActor(team_id, None, "ada"),
        project_id,
        action="looked",
        resource_type="project",
        resource_id="x",
        request_id=None,
    )


async def _emptied_and_deleted(connection: Connection, team_id: TeamId) -> bool:
    await connection._connection.execute("DELETE FROM projects WHERE team_id = $1", team_id)
    return await tenants.delete_team(connection, team_id)


def _upserted(connection: Connection, team_id: TeamId, project_id: ProjectId) -> Awaitable[object]:
    return observations.upsert(
        connection, team_id, project_id, _SESSION, Draft("change", "x"), generation_key="new", happened_at=NOON
    )


def _retried(connection: Connection, team_id: TeamId, project_id: ProjectId) -> Awaitable[object]:
    return job_operations.retry(
        connection, team_id, project_id, JobId(_id("failed")), key_id=None, request_id=None, actor="ada"
    )


def _purged(kind: str) -> Case:
    async def deleted(connection: Connection, team_id: TeamId, project_id: ProjectId) -> Purged:
        return (await purge.delete(connection, team_id, project_id, kind, None))[0]

    return Case(deleted, names_a_row=False)


_KEY = ApiKeyId(_OURS.id("project-key"))
_CASES: dict[str, Case] = {
    "audit/insert": Case(_audited, names_a_row=False),
    "events/blank_turn": Case(lambda c, t, p: events.blank_turn(c, t, p, _SESSION, "turn-1")),
    "events/ingest": Case(lambda c, t, p: events.ingest(c, [_event(t, p)])),
    "jobs/cancel": Case(lambda c, t, p: job_operations.cancel(c, t, p, JobId(_id("queued")), "ada")),
    "jobs/claim": Case(lambda c, t, p: jobs.claim(c, _message(t, p, "queued"), "me", _LEASE)),
    "jobs/complete": Case(lambda c, t, p: jobs.complete(c, _claim(t, p), 1)),
    "jobs/heartbeat": Case(lambda c, t, p: jobs.heartbeat(c, _claim(t, p), _LEASE)),
    "jobs/mark_enqueued": Case(lambda c, t, p: jobs.mark_enqueued(c, [_message(t, p, "queued")])),
    "jobs/queue_summary": Case(
        lambda c, t, p: jobs.queue_summary(c, t, p, _SESSION, after=new_id(), key_id=None, request_id=None)
    ),
    "jobs/release": Case(lambda c, t, p: jobs.release(c, _claim(t, p))),
    "jobs/retry": Case(_retried),
    "jobs/retry_or_fail": Case(lambda c, t, p: jobs.retry_or_fail(c, _claim(t, p), _LEASE, "why")),
    "keys/adopt": Case(lambda c, t, _: keys.adopt(c, t, new_id(), ApiKeyId(_OURS.id("old-key"))), of_team=True),
    "keys/insert": Case(lambda c, t, p: keys.insert(c, t, p, "new", b"n" * 32, ["x"], None), names_a_row=False),
    "keys/retire": Case(lambda c, t, p: keys.retire(c, t, p, _KEY, NOON)),
    "keys/revoke": Case(lambda c, t, p: keys.revoke(c, t, p, _KEY)),
    "keys/revoke_local": Case(lambda c, t, _: keys.revoke_local(c, t, _OURS.id("installation")), of_team=True),
    "observations/delete": Case(lambda c, t, p: observations.delete(c, _observation(t, p))),
    "observations/insert": Case(lambda c, t, p: observations.insert(c, t, p, _SESSION, Draft("change", "x"))),
    "observations/link": Case(
        lambda c, t, p: observations.link(c, _observation(t, p), "agent_event", _id("stop"), None)
    ),
    "observations/supersede": Case(lambda c, t, p: observations.supersede(c, t, p, "agent_event", _id("prompt"), [])),
    "observations/update": Case(lambda c, t, p: observations.update(c, _observation(t, p), Draft("change", "x"))),
    "observations/upsert": Case(_upserted),
    "purge/events": _purged("events"),
    "purge/jobs": _purged("jobs"),
    "purge/observations": _purged("observations"),
    "purge/sessions": _purged("sessions"),
    "sessions/delete": Case(lambda c, t, p: sessions.delete(c, t, p, _SESSION)),
    "sessions/end": Case(lambda c, t, p: sessions.end(c, t, p, _SESSION)),
    "sessions/find_or_create": Case(
        lambda c, t, p: sessions.find_or_create(
            c, t, NewSession(p, external_session_id="external", platform_source="claude-code", project_root="/new")
        ),
        names_a_row=False,
    ),
    "sessions/mark_generated": Case(lambda c, t, p: sessions.mark_generated(c, t, p, _SESSION)),
    "sessions/owe_context": Case(lambda c, t, p: sessions.owe_context(c, t, p, _SESSION)),
    "sessions/settle_context": Case(lambda c, t, p: sessions.settle_context(c, t, p, _SESSION)),
    "tenants/delete_project": Case(tenants.delete_project, names_a_row=False),
    "tenants/delete_team": Case(lambda c, t, _: _emptied_and_deleted(c, t), names_a_row=False, of_team=True),
    "tenants/find_or_create_project": Case(
        lambda c, t, _: tenants.find_or_create_project(c, t, "new", "new"), names_a_row=False, of_team=True
    ),
    "usage/insert": Case(lambda c, t, p: usage.record(c, _claim(t, p), Spent("p", "m", 1, 1))),
}


@pytest.fixture(scope="module")
def populated(postgres_server: PostgresServer) -> Iterator[str]:
    async def fill(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        for population in (_OURS, _THEIRS):
            await populate(connection, population)
        await connection.close()

    with lasting_database(postgres_server, fill) as dsn:
        yield dsn


@pytest.fixture
async def connection(populated: str) -> AsyncIterator[Connection]:
    """Give a connection whose every change is undone."""
    database = await Database.open(populated)
    try:
        async with database.connection() as opened:
            transaction = opened._connection.transaction()
            await transaction.start()
            yield opened
            await transaction.rollback()
    finally:
        await database.close(5)


def test_every_statement_that_changes_something_is_tried_here() -> None:
    assert set(_MUTATIONS) - set(_CASES) - set(_OF_EVERY_TENANT) == set(), "these need a case, or a reason for none"
    assert (set(_CASES) | set(_OF_EVERY_TENANT)) - set(_MUTATIONS) == set()


@pytest.mark.parametrize("name", _MUTATIONS)
def test_a_change_names_team_and_project_of_its_own(name: str) -> None:
    body = _without_subqueries("\n".join(line for line in statement(name).splitlines() if "--" not in line))
    for change in re.split(r"\b(?=DELETE FROM|UPDATE \w+(?: AS \w+)? SET)", body)[1:]:
        table = change.split()[2 if change.startswith("DELETE") else 1]
        own = {"teams": ["id"], "projects": ["team_id", "id"]}.get(table, ["team_id", "project_id"])
        predicate = change.split("RETURNING")[0].partition("WHERE")[2]
        missing = [column for column in own if not re.search(rf"\b{column}\b", predicate)]
        assert bool(missing) == (name in _UNSCOPED), (change, missing)


def _without_subqueries(sql: str) -> str:
    """Leave out what stands in parentheses after a condition, where another row's scope may be meant."""
    left, depth = "", 0
    for part in re.split(r"(\(\s*SELECT|[()])", sql):
        if depth or (part.startswith("(") and "SELECT" in part and not left.rstrip().endswith("AS")):
            depth += part.startswith("(") - (part == ")")
        else:
            left += part
    return left


@pytest.mark.parametrize("name", _CASES)
async def test_a_change_happens_in_its_scope_alone(connection: Connection, name: str) -> None:
    case = _CASES[name]
    before = await snapshot(connection._connection)
    ties = {link.name for link in await links(connection._connection) if "team_id" in link.columns}
    attempts = []
    for team_id, project_id in case.wrong():
        attempts.append(await _attempt(connection, case, team_id, project_id))
        assert await snapshot(connection._connection) == before
    assert {attempt for attempt in attempts if attempt not in ("raised", "answered")} <= ties
    answer = await case.call(connection, _TEAM, _PROJECT)
    assert await snapshot(connection._connection) != before, "the case is alive"
    assert answer or "answered" not in attempts, "an answer tells whether something happened"


async def _attempt(connection: Connection, case: Case, team_id: TeamId, project_id: ProjectId) -> str:
    """Call in the wrong scope; return how the call said that nothing happened, or which constraint refused it."""
    try:
        async with connection._connection.transaction():
            answer = await case.call(connection, team_id, project_id)
    except NotFound:
        return "raised"
    except asyncpg.ForeignKeyViolationError as error:
        return str(error.constraint_name)
    assert not (any(astuple(answer)) if isinstance(answer, Purged) else answer)
    return "answered"


async def test_an_event_of_another_project_cannot_be_linked(connection: Connection) -> None:
    ours = _observation(_TEAM, _PROJECT)
    for foreign in (_THEIRS.id("prompt", "project"), _OURS.id("prompt", "sibling"), uuid5(_TEAM, "nothing")):
        with pytest.raises(NotFound):
            async with connection._connection.transaction():
                await observations.link(connection, ours, "agent_event", foreign, None)
    with pytest.raises(NotFound):
        async with connection._connection.transaction():
            await observations.link(connection, ours, "agent_event", _id("stop"), _THEIRS.id("queued", "project"))
    await observations.link(connection, ours, "agent_event", _id("stop"), _id("queued"))


async def test_a_link_that_is_there_is_not_made_twice(connection: Connection) -> None:
    ours = _observation(_TEAM, _PROJECT)
    before = len((await snapshot(connection._connection))["observation_sources"])
    for job in (None, _id("queued"), None):
        await observations.link(connection, ours, "agent_event", _id("prompt"), job)
    after = (await snapshot(connection._connection))["observation_sources"]
    assert len(after) == before
    assert sum(str(_id("queued")) in row for row in after) == 1


async def test_another_team_with_the_same_session_gets_one_of_its_own(connection: Connection) -> None:
    theirs = NewSession(ProjectId(_THEIRS.project_id), external_session_id="external", platform_source="claude-code")
    session, is_new = await sessions.find_or_create(connection, TeamId(_THEIRS.team_id), theirs)
    assert (session.id, is_new) == (_THEIRS.id("session", "project"), False)
    with pytest.raises(NotFound):
        await sessions.find_or_create(connection, TeamId(_THEIRS.team_id), replace(theirs, project_id=_PROJECT))


async def test_a_batch_with_one_foreign_event_stores_none(connection: Connection) -> None:
    good = _event(_TEAM, _PROJECT)
    foreign = replace(_event(_TEAM, ProjectId(_OURS.sibling_id)), idempotency_key="other")
    before = await snapshot(connection._connection)
    with pytest.raises(NotFound):
        async with connection._connection.transaction():
            await events.ingest(connection, [good, foreign])
    assert await snapshot(connection._connection) == before
