"""Sessions and projects over HTTP: found or made once however many ask at once, ended once, audited once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server_beta.domain.ids import new_id
from tests.support.api import REQUEST_ID, Api, serving
from tests.support.counting import count, run_sql
from tests.support.server import turn
from tests.support.tenants import Tenant, make_tenant


@pytest.fixture
async def api(database: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(database, tmp_path) as served:
        yield served


@pytest.fixture
async def tenant(api: Api) -> Tenant:
    return await make_tenant(api.store)


async def _start(api: Api, key: str, tenant: Tenant, **body: object) -> dict[str, Any]:
    answer = await api.ask(key, "POST", "/v1/sessions/start", {"projectId": str(tenant.project.id), **body})
    assert answer.status in {200, 201}, answer
    session: dict[str, Any] = answer.body["session"]
    return session


async def _record(api: Api, key: str, session: dict[str, Any], number: int) -> None:
    event = {
        "projectId": session["projectId"],
        "serverSessionId": session["id"],
        "sourceType": "api",
        "eventType": "note",
        "occurredAtEpoch": number,
    }
    assert (await api.ask(key, "POST", "/v1/events?generate=false", event)).status == 201


async def test_of_twenty_starts_at_once_one_makes_the_session(api: Api, tenant: Tenant) -> None:
    key, key_id = await api.key_and_id(tenant)
    body = {"projectId": str(tenant.project.id), "externalSessionId": "s-1", "metadata": {"a": "<private>x</private>b"}}
    answers = await asyncio.gather(*(api.ask(key, "POST", "/v1/sessions/start", body) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    (session_id,) = {answer.body["session"]["id"] for answer in answers}
    assert answers[0].body["session"]["metadata"] == {"a": "b"}
    assert await api.audited(session_id) == [
        {
            "action": "session.started",
            "actor": f"api_key:{key_id}",
            "api_key_id": key_id,
            "request_id": REQUEST_ID,
            "project_id": tenant.project.id,
            "team_id": tenant.principal.team_id,
            "details": {},
        }
    ]


async def test_of_twenty_projects_at_once_one_is_made(api: Api, tenant: Tenant) -> None:
    key = await api.key(tenant)
    body = {"key": "git:example.org/new", "name": "new"}
    answers = await asyncio.gather(*(api.ask(key, "POST", "/v1/projects", body) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 19 + [201]
    (project_id,) = {answer.body["project"]["id"] for answer in answers}
    (row,) = await api.audited(project_id)
    assert (row["action"], row["request_id"]) == ("project.created", REQUEST_ID)
    assert row["api_key_id"] is not None
    for query in ("key=git:example.org/new", "name=new"):
        found = (await api.ask(key, "GET", f"/v1/projects?{query}")).body["projects"]
        assert [one["id"] for one in found] == [project_id], query


async def test_a_project_whose_key_is_private_is_refused(api: Api, tenant: Tenant) -> None:
    key = await api.key(tenant)
    assert (await api.ask(key, "POST", "/v1/projects", {"key": "<private>x</private>"})).status == 400
    named = await api.ask(key, "POST", "/v1/projects", {"key": "git:k", "name": "<private>x</private>"})
    assert named.body["project"]["name"] == "git:k"


async def test_a_session_ends_once_and_answers_the_same_again(api: Api, tenant: Tenant) -> None:
    key = await api.key(tenant)
    session = await _start(api, key, tenant, externalSessionId="s-1")
    await _record(api, key, session, 1)
    path = f"/v1/sessions/{session['id']}/end"
    answers = [await api.ask(key, "POST", path, {}) for _ in range(2)]
    answers += await asyncio.gather(*(api.ask(key, "POST", path, {}) for _ in range(10)))
    for answer in answers:
        assert answer.status == 200
        # Where the queue stands with the job may change from one answer to the next.
        for member in ("transport", "bullmqJobId"):
            answer.body["generationJob"].pop(member)
        assert answer.body == answers[0].body
    assert answers[0].body["session"]["endedAtEpoch"] is not None
    assert await count(api.store, "observation_generation_jobs", "source_type = 'session_summary'") == 1
    assert [row["action"] for row in await api.audited(session["id"])] == ["session.started", "session.ended"]


async def test_of_many_ends_at_once_one_is_the_first(api: Api, tenant: Tenant) -> None:
    key = await api.key(tenant)
    session = await _start(api, key, tenant)
    for number in range(3):
        await _record(api, key, session, number)
    path = f"/v1/sessions/{session['id']}/end"
    answers = await asyncio.gather(*(api.ask(key, "POST", path, {}) for _ in range(20)))
    assert len({answer.body["session"]["endedAtEpoch"] for answer in answers}) == 1
    assert len({answer.body["generationJob"]["id"] for answer in answers}) == 1
    assert await count(api.store, "observation_generation_jobs", "source_type = 'session_summary'") == 1
    assert await count(api.store, "audit_log", "action = 'session.ended'") == 1


async def test_a_summary_is_asked_for_once_a_state(api: Api, tenant: Tenant) -> None:
    key = await api.key(tenant)
    session = await _start(api, key, tenant)
    path = f"/v1/sessions/{session['id']}/end"
    assert "generationJob" not in (await api.ask(key, "POST", path, {})).body
    await _record(api, key, session, 1)
    first = (await api.ask(key, "POST", path, {})).body["generationJob"]["id"]
    await run_sql(
        api.store, "UPDATE observation_generation_jobs SET status = 'completed', completed_at = now(), attempts = 1"
    )
    assert (await api.ask(key, "POST", path, {})).body["generationJob"]["id"] == first
    await _record(api, key, session, 2)
    second = (await api.ask(key, "POST", path, {})).body["generationJob"]["id"]
    assert second != first
    await _record(api, key, session, 3)
    # The one that waits will know the third event, too.
    assert (await api.ask(key, "POST", path, {})).body["generationJob"]["id"] == second


async def test_a_hook_s_session_is_audited_like_any_other(api: Api, tenant: Tenant) -> None:
    key, key_id = await api.key_and_id(tenant)
    body = turn()[0][1]
    await asyncio.gather(*(api.ask(key, "POST", "/v1/hooks/claude-code/UserPromptSubmit", body) for _ in range(5)))
    for _ in range(2):
        ended = await api.ask(key, "POST", "/v1/hooks/claude-code/SessionEnd", {**body, "reason": "other"})
        assert ended.status in {200, 201}
    (row,) = await run_sql(api.store, "SELECT id FROM server_sessions WHERE external_session_id = 's-1'")
    audited = await api.audited(row["id"])
    assert [one["action"] for one in audited] == ["session.started", "session.ended"]
    assert {one["api_key_id"] for one in audited} == {key_id}


@pytest.mark.parametrize("action", ["session.started", "session.ended"])
async def test_what_cannot_be_audited_does_not_happen(api: Api, tenant: Tenant, action: str) -> None:
    key = await api.key(tenant)
    session = await _start(api, key, tenant)
    await run_sql(api.store, f"ALTER TABLE audit_log ADD CONSTRAINT broken CHECK (action <> '{action}') NOT VALID")
    body = {"projectId": str(tenant.project.id), "externalSessionId": "s-9"}
    path = "/v1/sessions/start" if action == "session.started" else f"/v1/sessions/{session['id']}/end"
    assert (await api.ask(key, "POST", path, body)).status == 500
    assert await count(api.store, "server_sessions", "external_session_id = 's-9' OR ended_at IS NOT NULL") == 0


async def test_a_foreign_session_or_project_is_not_found(api: Api, tenant: Tenant) -> None:
    key = await api.key(tenant)
    other = await make_tenant(api.store, "other")
    session = await _start(api, key, tenant)
    stranger, of_sibling = await api.key(other), await api.key(tenant, project_id=(await _sibling(api, key)))
    before = await count(api.store, "server_sessions")
    for who in (stranger, of_sibling):
        assert (await api.ask(who, "POST", f"/v1/sessions/{session['id']}/end", {})).status == 404
        body = {"projectId": str(tenant.project.id), "externalSessionId": "mine"}
        assert (await api.ask(who, "POST", "/v1/sessions/start", body)).status == 404
    unknown = {"projectId": str(new_id())}
    assert (await api.ask(key, "POST", "/v1/sessions/start", unknown)).status == 404
    assert await count(api.store, "server_sessions") == before
    assert await count(api.store, "server_sessions", "ended_at IS NOT NULL") == 0


async def _sibling(api: Api, key: str) -> Any:
    (row,) = [(await api.ask(key, "POST", "/v1/projects", {"key": "git:sibling"})).body["project"]]
    return row["id"]
