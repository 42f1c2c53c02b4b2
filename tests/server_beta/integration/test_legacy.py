"""The older HTTP API: whole sessions become observations and a summary; turns, privacy and projects are told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from server_beta.domain.ids import ProjectId
from tests.support.api import Api, serving
from tests.support.counting import count, run_sql
from tests.support.tenants import Tenant, make_tenant
from tests.support.waiting import eventually

FOLDER = "/home/dev/shop"
EDIT: dict[str, object] = {
    "tool_name": "Edit",
    "tool_input": {"file_path": f"{FOLDER}/src/cart.py", "old_string": "total = 0", "new_string": "total = tax"},
    "tool_response": {"filePath": f"{FOLDER}/src/cart.py", "structuredPatch": []},
    "cwd": FOLDER,
}
SAID = "Fixed the total: the cart now adds the tax. I decided to round half up."


@pytest.fixture
async def api(database: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(database, tmp_path) as served:
        yield served


@pytest.fixture
async def tenant(api: Api) -> Tenant:
    return await make_tenant(api.store)


@pytest.fixture
async def key(api: Api, tenant: Tenant) -> str:
    return await api.key(tenant)


async def _send(api: Api, key: str, what: str, **body: object) -> dict[str, Any]:
    answer = await api.ask(key, "POST", f"/api/sessions/{what}", {"contentSessionId": "s-1", **body})
    assert answer.status == 200, answer
    told: dict[str, Any] = answer.body
    return told


async def test_a_whole_session_is_learned(database: str, tmp_path: Path) -> None:
    async with serving(database, tmp_path, generates=True) as api:
        key = await api.key(await make_tenant(api.store))
        begun = await _send(api, key, "init", project="shop", prompt="The cart's total is wrong, please fix it")
        session, number = begun["serverSessionId"], begun["sessionDbId"]
        assert isinstance(number, int)
        assert 0 < number < 2**53
        assert begun == {
            "sessionDbId": number,
            "serverSessionId": session,
            "promptNumber": 1,
            "skipped": False,
            "status": "initialized",
            "contextInjected": False,
        }
        for number in range(3):
            taken = await _send(api, key, "observations", **EDIT, tool_use_id=f"toolu_{number}")
            assert (taken["status"], taken["observationCount"], taken["serverSessionId"]) == ("queued", 1, session)
            assert (await api.ask(key, "GET", f"/v1/events/{taken['eventId']}")).status == 200
        ended = await _send(api, key, "summarize", last_assistant_message=SAID)
        assert (ended["status"], ended["sessionId"], ended["transport"]) == ("queued", session, "enqueued")
        job = await api.ask(key, "GET", f"/v1/jobs/{ended['generationJobId']}")
        assert job.body["generationJob"]["sourceType"] == "event_batch"

        async def learned() -> list[Any] | None:
            found = (await api.ask(key, "GET", "/v1/observations")).body["observations"]
            return found if any(one["kind"] == "summary" for one in found) else None

        found = await eventually(learned, within=15)
        assert any(one["filesModified"] == ["src/cart.py"] for one in found if one["kind"] != "summary")
        projects = (await api.ask(key, "GET", "/v1/projects?key=shop")).body["projects"]
        assert {one["projectId"] for one in found} == {projects[0]["id"]}


async def test_each_prompt_begins_a_turn_of_its_own(api: Api, key: str) -> None:
    for number, prompt in enumerate(("one", "two", "three"), 1):
        assert (await _send(api, key, "init", project="shop", prompt=prompt))["promptNumber"] == number
        await _send(api, key, "observations", **EDIT)
        await _send(api, key, "summarize", last_assistant_message=f"Done {prompt}.")
    turns = await run_sql(api.store, "SELECT turn_key, count(*) AS events FROM agent_events GROUP BY 1 ORDER BY 1")
    assert [(row["turn_key"], row["events"]) for row in turns] == [("prompt-1", 3), ("prompt-2", 3), ("prompt-3", 3)]
    assert await count(api.store, "observation_generation_jobs", "source_type = 'event_batch'") == 3
    assert await count(api.store, "server_sessions", "external_session_id = 's-1'") == 1


async def test_a_private_prompt_hides_its_turn_and_no_other(api: Api, key: str) -> None:
    await _send(api, key, "init", project="shop", prompt="Fix it")
    await _send(api, key, "observations", **EDIT)
    await _send(api, key, "summarize", last_assistant_message="Done.")
    begun = await _send(api, key, "init", project="shop", prompt="<private>canary</private>")
    assert (begun["skipped"], begun["reason"], begun["promptNumber"]) == (True, "private", 2)
    hidden = await _send(api, key, "observations", **{**EDIT, "tool_response": "canary"})
    assert hidden == {"status": "skipped", "reason": "private"}
    assert (await _send(api, key, "summarize", last_assistant_message="canary"))["reason"] == "private"
    assert await count(api.store, "agent_events", "payload::text LIKE '%canary%'") == 0
    assert await count(api.store, "agent_events", "payload::text LIKE '%cart.py%'") == 1
    third = await _send(api, key, "init", project="shop", prompt="In the open <private>canary</private>")
    assert (third["skipped"], third["promptNumber"]) == (False, 3)
    assert (await _send(api, key, "observations", **EDIT))["status"] == "queued"
    assert await count(api.store, "agent_events", "payload::text LIKE '%canary%'") == 0


async def test_what_is_sent_again_is_stored_once(api: Api, key: str) -> None:
    assert (await _send(api, key, "init", project="shop", prompt="Fix it"))["skipped"] is False
    again = await _send(api, key, "init", project="shop", prompt="Fix it")
    assert (again["skipped"], again["reason"], again["promptNumber"]) == (True, "duplicate", 1)
    first = await _send(api, key, "observations", **EDIT, toolUseId="toolu_1")
    assert (await _send(api, key, "observations", **EDIT, tool_use_id="toolu_1"))["eventId"] == first["eventId"]
    end = await _send(api, key, "summarize", last_assistant_message=SAID)
    repeated = await _send(api, key, "summarize", last_assistant_message=SAID)
    assert (repeated["eventId"], repeated["generationJobId"]) == (end["eventId"], end["generationJobId"])
    assert await count(api.store, "agent_events") == 3
    assert await count(api.store, "observation_generation_jobs") == 1


async def test_a_prompt_that_comes_again_much_later_is_another_one(api: Api, key: str) -> None:
    await _send(api, key, "init", project="shop", prompt="Go on")
    await run_sql(api.store, "UPDATE agent_events SET received_at = received_at - interval '11 seconds'")
    again = await _send(api, key, "init", project="shop", prompt="Go on")
    assert (again["skipped"], again["promptNumber"]) == (False, 2)


async def test_a_prompt_without_text_is_not_a_private_one(api: Api, key: str) -> None:
    assert (await _send(api, key, "init", project="shop"))["skipped"] is False
    assert (await _send(api, key, "observations", **EDIT))["status"] == "queued"


async def test_what_is_not_captured_is_said_to_be_skipped(api: Api, key: str) -> None:
    await _send(api, key, "init", project="shop", prompt="Fix it")
    own = {**EDIT, "tool_name": "mcp__claude-mem__search"}
    assert await _send(api, key, "observations", **own) == {"status": "skipped", "reason": "not_captured"}
    subagent = await _send(api, key, "summarize", agentId="a-1", last_assistant_message="x")
    assert subagent == {"status": "skipped", "reason": "subagent_context"}
    assert await count(api.store, "agent_events") == 1


async def test_a_session_that_nobody_began_is_put_where_it_happened(api: Api, key: str) -> None:
    assert (await _send(api, key, "observations", **EDIT))["status"] == "queued"
    assert (await _send(api, key, "summarize"))["status"] == "queued"
    (row,) = await run_sql(api.store, "SELECT name FROM projects WHERE key LIKE 'path:%'")
    assert row["name"] == "shop"


async def test_platforms_have_sessions_of_their_own(api: Api, key: str) -> None:
    first = await _send(api, key, "init", project="shop", prompt="one")
    other = await _send(api, key, "init", project="shop", prompt="one", platformSource="cursor")
    same = await _send(api, key, "init", project="shop", prompt="two", platformSource="claude")
    assert first["sessionDbId"] == same["sessionDbId"] != other["sessionDbId"]
    assert (other["promptNumber"], same["promptNumber"]) == (1, 2)
    session = (await api.ask(key, "GET", f"/v1/sessions/{other['serverSessionId']}")).body["session"]
    assert session["platformSource"] == "cursor"


async def test_a_key_for_one_project_writes_into_it_and_into_no_other(api: Api, tenant: Tenant, key: str) -> None:
    other = (await api.ask(key, "POST", "/v1/projects", {"key": "other"})).body["project"]
    scoped = await api.key(tenant, project_id=tenant.project.id)
    of_other = await api.key(tenant, project_id=ProjectId(UUID(other["id"])))
    before = {table: await count(api.store, table) for table in ("projects", "server_sessions", "audit_log")}
    for what, body in (
        ("init", {"project": "other", "prompt": "x"}),
        ("init", {"project": "unknown", "prompt": "x"}),
        ("observations", {**EDIT, "project": "other"}),
        ("summarize", {"project": "other"}),
    ):
        answer = await api.ask(scoped, "POST", f"/api/sessions/{what}", {"contentSessionId": "s-1", **body})
        assert answer.status == 404, (what, answer)
    assert {table: await count(api.store, table) for table in before} == before
    assert await count(api.store, "agent_events") == 0
    for named in (tenant.project.key, tenant.project.name, None):
        body = {} if named is None else {"project": named}
        await _send(api, scoped, "init", prompt=f"as {named}", **body)
    await _send(api, scoped, "observations", **EDIT)
    assert await count(api.store, "agent_events", f"project_id = '{tenant.project.id}'") == 4
    # The same session's id means another session under another key.
    assert (await _send(api, of_other, "init", prompt="mine"))["promptNumber"] == 1
    assert await count(api.store, "agent_events", f"project_id = '{other['id']}'") == 1


async def test_another_team_s_session_of_the_same_id_is_another_session(api: Api, key: str) -> None:
    stranger = await api.key(await make_tenant(api.store, "other"))
    mine = await _send(api, key, "init", project="shop", prompt="one")
    theirs = await _send(api, stranger, "observations", **EDIT)
    assert theirs["sessionId"] != mine["serverSessionId"]
    assert await count(api.store, "agent_events", "event_type = 'PostToolUse' AND turn_key = 'prompt-1'") == 0


async def test_writing_needs_its_scope(api: Api, tenant: Tenant) -> None:
    reader = await api.key(tenant, "observations:read", "sessions:write")
    for what in ("init", "observations", "summarize"):
        body = {"contentSessionId": "s-1", "tool_name": "Bash"}
        assert (await api.ask(reader, "POST", f"/api/sessions/{what}", body)).status == 403


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("init", {}),
        ("init", {"contentSessionId": ""}),
        ("init", {"contentSessionId": "  "}),
        ("init", {"contentSessionId": "s" * 201}),
        ("init", {"contentSessionId": "s", "prompt": 5}),
        ("init", {"contentSessionId": "s", "project": ""}),
        ("observations", {"contentSessionId": "s"}),
        ("observations", {"contentSessionId": "s", "tool_name": " "}),
        ("observations", {"contentSessionId": "s", "tool_name": "Bash", "tool_use_id": "t" * 201}),
        ("observations", {"contentSessionId": "s", "tool_name": "Bash", "platformSource": "p" * 65}),
        ("summarize", {"contentSessionId": "s", "last_assistant_message": []}),
    ],
)
async def test_a_wrong_shape_is_named_as_the_client_named_it(
    api: Api, key: str, what: str, body: dict[str, object]
) -> None:
    answer = await api.ask(key, "POST", f"/api/sessions/{what}", body)
    assert answer.status == 400
    sent = {"contentSessionId", "prompt", "project", "tool_name", "tool_use_id", "platformSource"}
    assert answer.body["issues"][0]["path"].removeprefix("$.") in sent | {"last_assistant_message"}
    assert await count(api.store, "agent_events") == 0
