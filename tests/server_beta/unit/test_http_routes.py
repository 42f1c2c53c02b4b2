"""Each route: what it asks of its service, what it answers, and what it does with bad bodies."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server_beta.domain.jobs import JobFilter, JobStatus, SourceType
from server_beta.domain.records import NewSession, ObservationFilter, SearchRequest, TimelineRequest
from server_beta.http.app import build_app
from server_beta.http.body import MAX_BODY_BYTES
from tests.server_beta.unit.http_fakes import KEY, FakeServices, loopback_settings
from tests.server_beta.unit.http_samples import AT, AT_MS, JOB, OBSERVATIONS, PROJECT, SESSION, TEAM

Client = TestClient[web.Request, web.Application]

EVENT: dict[str, object] = {
    "projectId": str(PROJECT.id),
    "sourceType": "api",
    "eventType": "edit",
    "occurredAtEpoch": AT_MS,
    "sourceEventId": "e1",
    "payload": {"a": 1},
}
HOOK = "/v1/hooks/claude-code/PostToolUse"
WRITES = (
    HOOK,
    "/v1/events",
    "/v1/events/batch",
    "/v1/sessions/start",
    "/v1/projects",
    "/v1/search",
    "/v1/observations/batch",
    "/v1/observations",
    "/v1/memories",
    "/api/sessions/init",
    "/api/sessions/observations",
    "/api/sessions/summarize",
)


@pytest.fixture
def fake() -> FakeServices:
    return FakeServices()


@pytest.fixture
async def client(fake: FakeServices, tmp_path: Path) -> AsyncIterator[Client]:
    server = TestServer(build_app(fake.services(), loopback_settings(tmp_path)))
    async with TestClient(server, headers={"Authorization": f"Bearer {KEY}", "X-Request-Id": "r1"}) as client:
        yield client


async def post(client: Client, path: str, body: object) -> tuple[int, Any]:
    data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
    response = await client.post(path, data=data, headers={"Content-Type": "application/json"})
    return response.status, json.loads(await response.read())


async def get(client: Client, path: str) -> tuple[int, Any]:
    response = await client.get(path)
    return response.status, json.loads(await response.read())


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[",
        b"nonsense",
        b"NaN",
        b'{"a":1e999}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b'"text"',
        b"7",
        b"null",
        b"[[]]",
        b"[null]",
    ],
)
async def test_a_bad_body_is_a_400_with_issues(client: Client, fake: FakeServices, path: str, body: bytes) -> None:
    status, problem = await post(client, path, body)
    assert (status, problem["error"]) == (400, "ValidationError")
    assert problem["issues"]
    assert fake.asked == []


@pytest.mark.parametrize("path", WRITES)
async def test_five_mebibytes_are_the_limit(client: Client, fake: FakeServices, path: str) -> None:
    whole = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
    assert (await post(client, path, whole))[0] == 400
    status, problem = await post(client, path, whole + b" ")
    assert (status, problem["error"]) == (413, "PayloadTooLarge")
    assert fake.asked == []


async def test_a_hook_prints_what_the_service_says(client: Client, fake: FakeServices) -> None:
    headers = {"X-Claude-Mem-Event-Id": "id-1", "X-Claude-Mem-Project": "git%3Ax"}
    answers = [await client.post(HOOK, data=b'{"session_id":"s"}', headers=headers) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 200]
    assert [await answer.json() for answer in answers] == [{"systemMessage": "hello"}] * 2
    kind, event_name, body, seen, request_id = fake.asked[0]
    assert (kind, event_name, body, request_id) == ("hook", "PostToolUse", {"session_id": "s"}, "r1")
    assert seen["x-claude-mem-project"] == "git%3Ax"


async def test_a_hook_with_text_that_cannot_be_stored_is_taken(client: Client, fake: FakeServices) -> None:
    status, _ = await post(client, HOOK, rb'{"tool_response":"a\u0000b\ud83d","\udc00":[1]}')
    assert status == 201
    assert fake.asked[0][2] == {"tool_response": "a\ufffdb\ufffd", "\ufffd": [1]}


@pytest.mark.parametrize(
    "path", ["/v1/hooks/other/Stop", "/v1/hooks/claude-code/a b", "/v1/hooks/claude-code/" + "a" * 65]
)
async def test_an_unknown_adapter_or_event_name_is_not_found(client: Client, fake: FakeServices, path: str) -> None:
    assert (await post(client, path, {}))[0] == 404
    assert fake.asked == []


async def test_a_hook_header_of_other_bytes_is_refused(client: Client, fake: FakeServices) -> None:
    response = await client.post(HOOK, data=b"{}", headers={"X-Claude-Mem-Project-Name": "caf\u00e9"})
    assert response.status == 400
    assert json.loads(await response.read())["issues"][0]["path"] == "header X-Claude-Mem-Project-Name"
    assert fake.asked == []


async def test_an_event_is_recorded_once(client: Client, fake: FakeServices) -> None:
    first, again = [await post(client, "/v1/events", EVENT) for _ in range(2)]
    assert (first[0], again[0]) == (201, 200)
    assert first[1] == again[1]
    event, job = first[1]["event"], first[1]["generationJob"]
    assert event == {
        "id": "00000000-0000-0000-0000-000000000005",
        "projectId": str(PROJECT.id),
        "teamId": str(PROJECT.team_id),
        "serverSessionId": None,
        "contentSessionId": None,
        "sourceType": "api",
        "sourceAdapter": "api",
        "sourceEventId": "e1",
        "eventType": "edit",
        "platformSource": "api",
        "payload": {"a": 1},
        "metadata": {},
        "occurredAtEpoch": AT_MS,
        "receivedAtEpoch": AT_MS,
        "createdAtEpoch": AT_MS,
    }
    assert (job["id"], job["status"], job["transport"], job["bullmqJobId"]) == (
        str(JOB.id),
        "queued",
        "queued_only",
        None,
    )
    assert (job["nextAttemptAtEpoch"], job["completedAtEpoch"], job["sourceType"]) == (AT_MS, None, "agent_event")
    assert fake.asked[0][2:] == (True, "r1")


async def test_an_event_may_be_stored_only(client: Client, fake: FakeServices) -> None:
    status, body = await post(client, "/v1/events?generate=false", EVENT)
    assert status == 201
    assert "generationJob" not in body
    assert fake.asked[0][2] is False


@pytest.mark.parametrize(("finished", "timed_out"), [(JobStatus.COMPLETED, False), (JobStatus.PROCESSING, True)])
async def test_waiting_is_bounded(client: Client, fake: FakeServices, finished: JobStatus, timed_out: bool) -> None:
    fake.finished = finished
    status, body = await post(client, "/v1/events?wait=true", EVENT)
    assert status == 201
    assert (body["generationJob"]["status"], body["generationJob"]["transport"]) == (finished, "enqueued")
    assert body["waitTimedOut"] is timed_out
    verb, job_id, at_most = fake.asked[1]
    assert (verb, job_id) == ("wait", JOB.id)
    assert timedelta(seconds=29) < at_most <= timedelta(seconds=30)


@pytest.mark.parametrize(("finished", "timed_out"), [(JobStatus.COMPLETED, False), (JobStatus.PROCESSING, True)])
async def test_a_batch_waits_no_longer_than_one_event(
    client: Client, fake: FakeServices, finished: JobStatus, timed_out: bool
) -> None:
    fake.finished = finished
    _, body = await post(client, "/v1/events/batch?wait=true", [EVENT] * 3)
    assert [one["waitTimedOut"] for one in body["events"]] == [timed_out] * 3
    assert body["waitTimedOut"] is timed_out
    limits = [call[2] for call in fake.asked if call[0] == "wait"]
    assert len(limits) == 3
    assert timedelta(seconds=30) >= limits[0] > limits[1] > limits[2]


async def test_waiting_for_nothing_ends_at_once(client: Client, fake: FakeServices) -> None:
    _, body = await post(client, "/v1/events?wait=true&generate=false", EVENT)
    assert (body["generationJob"], body["waitTimedOut"]) == (None, False)
    assert [call[0] for call in fake.asked] == ["record"]


@pytest.mark.parametrize("query", ["generate=maybe", "wait=", "wait=1&wait=1", "wiat=true"])
async def test_bad_parameters_record_nothing(client: Client, fake: FakeServices, query: str) -> None:
    assert (await post(client, f"/v1/events?{query}", EVENT))[0] == 400
    assert fake.asked == []


@pytest.mark.parametrize("count", [1, 500])
async def test_a_batch_is_recorded_in_one_call(client: Client, fake: FakeServices, count: int) -> None:
    events = [{**EVENT, "sourceEventId": f"e{n}"} for n in range(count)]
    status, body = await post(client, "/v1/events/batch", events)
    assert (status, len(body["events"])) == (201, count)
    assert body["events"][-1]["event"]["sourceEventId"] == f"e{count - 1}"
    assert len(fake.asked) == 1
    assert (await post(client, "/v1/events/batch", events))[0] == 200


@pytest.mark.parametrize("count", [0, 501])
async def test_a_batch_of_another_size_is_refused(client: Client, fake: FakeServices, count: int) -> None:
    status, problem = await post(client, "/v1/events/batch", [EVENT] * count)
    assert (status, problem["issues"][0]["code"]) == (400, "invalid_length")
    assert str(count) in problem["message"]
    assert fake.asked == []


async def test_one_bad_event_refuses_the_batch(client: Client, fake: FakeServices) -> None:
    status, problem = await post(client, "/v1/events/batch", [EVENT, {**EVENT, "eventType": 1}])
    assert (status, problem["issues"][0]["path"]) == (400, "$[1].eventType")
    assert fake.asked == []


async def test_an_event_and_its_observations_are_read(client: Client, fake: FakeServices) -> None:
    event_id = "00000000-0000-0000-0000-000000000005"
    assert (await get(client, f"/v1/events/{event_id}"))[1]["event"]["id"] == event_id
    _, body = await get(client, f"/v1/events/{event_id}/observations")
    assert (body["eventId"], len(body["observations"])) == (event_id, len(OBSERVATIONS))


async def test_a_session_is_found_or_created(client: Client, fake: FakeServices) -> None:
    body = {"projectId": str(PROJECT.id), "externalSessionId": "s-1", "metadata": {"a": 1}}
    first, again = [await post(client, "/v1/sessions/start", body) for _ in range(2)]
    assert (first[0], again[0]) == (201, 200)
    assert first[1]["session"] == {
        "id": str(SESSION.id),
        "projectId": str(PROJECT.id),
        "teamId": str(PROJECT.team_id),
        "externalSessionId": "s-1",
        "contentSessionId": None,
        "agentId": None,
        "agentType": None,
        "platformSource": "api",
        "generationStatus": "idle",
        "metadata": {},
        "startedAtEpoch": AT_MS,
        "endedAtEpoch": None,
        "lastGeneratedAtEpoch": None,
        "createdAtEpoch": AT_MS,
        "updatedAtEpoch": AT_MS,
    }
    assert fake.asked[0] == ("start", NewSession(PROJECT.id, external_session_id="s-1", metadata={"a": 1}), "r1")


async def test_a_session_may_name_its_project_by_key(client: Client, fake: FakeServices) -> None:
    status, _ = await post(client, "/v1/sessions/start", {"project": {"key": "git:x", "name": "X"}})
    assert status == 201
    assert fake.asked[0] == ("find_or_create", "git:x", "X", "r1")
    assert fake.asked[1][1].project_id == PROJECT.id


async def test_a_session_is_read_and_ended(client: Client, fake: FakeServices) -> None:
    assert (await get(client, f"/v1/sessions/{SESSION.id}"))[1]["session"]["id"] == str(SESSION.id)
    status, body = await post(client, f"/v1/sessions/{SESSION.id}/end", b"")
    assert (status, body["session"]["endedAtEpoch"], body["generationJob"]["id"]) == (200, AT_MS, str(JOB.id))
    assert fake.asked[1] == ("end", SESSION.id, "r1")


@pytest.mark.parametrize(
    ("query", "asked"),
    [(f"projectId={PROJECT.id}", ("recent", PROJECT.id, None)), ("project=git%3Ax%2Fy", ("recent", None, "git:x/y"))],
)
async def test_the_context_of_a_project(
    client: Client, fake: FakeServices, query: str, asked: tuple[object, ...]
) -> None:
    status, body = await get(client, f"/v1/context/recent?{query}")
    assert status == 200
    assert body == {"context": "what happened", "observationIds": [str(OBSERVATIONS[0].id)]}
    assert fake.asked == [asked]


@pytest.mark.parametrize("query", ["", "projectId=x", f"projectId={PROJECT.id}&project=k", "project="])
async def test_a_context_needs_one_project(client: Client, fake: FakeServices, query: str) -> None:
    assert (await get(client, f"/v1/context/recent?{query}"))[0] == 400
    assert fake.asked == []


async def test_observations_are_paged(client: Client, fake: FakeServices) -> None:
    _, page = await get(client, "/v1/observations?limit=2&kind=bugfix")
    assert [one["title"] for one in page["observations"]] == ["Fix 0", "Fix 1"]
    assert page["observations"][0]["content"] == "Fix 0\n- a"
    assert (page["observations"][0]["facts"], page["observations"][0]["createdAtEpoch"]) == (["a"], AT_MS)
    _, last = await get(client, f"/v1/observations?limit=3&cursor={page['nextCursor']}")
    assert last["nextCursor"] is None
    assert fake.asked == [
        ("list", ObservationFilter(kind="bugfix", limit=2)),
        ("list", ObservationFilter(after=(AT, OBSERVATIONS[1].id), limit=3)),
    ]


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "limit=201", "since=x", "kind=", "sort=up"])
async def test_a_bad_filter_lists_nothing(client: Client, fake: FakeServices, query: str) -> None:
    assert (await get(client, f"/v1/observations?{query}"))[0] == 400
    assert fake.asked == []


async def test_an_observation_is_read(client: Client) -> None:
    _, body = await get(client, f"/v1/observations/{OBSERVATIONS[0].id}")
    assert (body["observation"]["id"], body["observation"]["kind"]) == (str(OBSERVATIONS[0].id), "bugfix")


async def test_observations_are_read_by_whole_and_short_ids(client: Client, fake: FakeServices) -> None:
    ids = [str(OBSERVATIONS[0].id), "9F3C21d0", OBSERVATIONS[1].id.hex]
    status, body = await post(client, "/v1/observations/batch", {"ids": ids})
    assert (status, [one["title"] for one in body["observations"]]) == (200, ["Fix 0", "Fix 1"])
    assert fake.asked == [("named", ids)]


@pytest.mark.parametrize(
    ("ids", "paths"),
    [
        ([], ["$.ids"]),
        (["00000000"] * 101, ["$.ids"]),
        (["00000000", "0000000", 7, "00000000"], ["$.ids[1]", "$.ids[2]"]),
        (["00000000", "0000000", "zzzzzzzz", "00000000-0000"], ["$.ids[1]", "$.ids[2]", "$.ids[3]"]),
        ("00000000", ["$.ids"]),
    ],
)
async def test_what_cannot_be_an_id_is_refused(
    client: Client, fake: FakeServices, ids: object, paths: list[str]
) -> None:
    status, problem = await post(client, "/v1/observations/batch", {"ids": ids})
    assert (status, [issue["path"] for issue in problem["issues"]]) == (400, paths)
    assert fake.asked == []


async def test_a_timeline_names_its_anchor(client: Client, fake: FakeServices) -> None:
    status, body = await get(client, "/v1/timeline?anchor=9f3c21d0&before=0&after=50")
    assert (status, body["anchorId"], len(body["observations"])) == (200, str(OBSERVATIONS[1].id), 3)
    assert (await get(client, f"/v1/timeline?anchor={OBSERVATIONS[0].id}"))[0] == 200
    assert fake.asked == [
        ("timeline", TimelineRequest("9f3c21d0", before=0, after=50)),
        ("timeline", TimelineRequest(str(OBSERVATIONS[0].id), before=5, after=5)),
    ]


@pytest.mark.parametrize(
    "query", ["", "anchor=", "anchor=x", "anchor=9f3c21d0&before=51", "anchor=9f3c21d0&after=-1", "anchor=9f3c21d0&x=1"]
)
async def test_a_bad_timeline_is_refused(client: Client, fake: FakeServices, query: str) -> None:
    assert (await get(client, f"/v1/timeline?{query}"))[0] == 400
    assert fake.asked == []


async def test_search_passes_every_filter_on(client: Client, fake: FakeServices) -> None:
    body = {
        "query": "why",
        "projectId": str(PROJECT.id),
        "kinds": ["bugfix"],
        "files": ["a.py"],
        "since": AT_MS,
        "limit": 5,
    }
    status, found = await post(client, "/v1/search", {**body, "offset": 1})
    assert (status, found["observations"][0]["score"], found["observations"][0]["snippet"]) == (200, 0.5, "a snippet")
    since = AT.replace(microsecond=678000)
    assert fake.asked == [
        ("search", SearchRequest("why", PROJECT.id, ("bugfix",), since, None, ("a.py",), limit=5, offset=1))
    ]


@pytest.mark.parametrize(
    "wrong", [{"query": ""}, {"limit": 0}, {"limit": 101}, {"offset": -1}, {"kinds": "x"}, {"since": "x"}]
)
async def test_a_bad_search_finds_nothing(client: Client, fake: FakeServices, wrong: dict[str, object]) -> None:
    assert (await post(client, "/v1/search", {"query": "why", **wrong}))[0] == 400
    assert fake.asked == []


async def test_a_job_is_read(client: Client, fake: FakeServices) -> None:
    _, body = await get(client, f"/v1/jobs/{JOB.id}")
    assert body["generationJob"]["id"] == str(JOB.id)
    assert set(body["generationJob"]) == {
        "id",
        "projectId",
        "teamId",
        "sourceType",
        "sourceId",
        "agentEventId",
        "serverSessionId",
        "jobType",
        "status",
        "bullmqJobId",
        "attempts",
        "maxAttempts",
        "nextAttemptAtEpoch",
        "completedAtEpoch",
        "failedAtEpoch",
        "cancelledAtEpoch",
        "lastError",
        "transport",
        "createdAtEpoch",
        "updatedAtEpoch",
        "history",
    }
    assert body["generationJob"]["history"] == [
        {"event": "queued", "attempt": 0, "detail": None, "createdAtEpoch": AT_MS}
    ]


async def test_jobs_are_filtered_by_any_name_of_a_kind(client: Client, fake: FakeServices) -> None:
    for query in (
        "sourceType=agent_event",
        "source_type=agent_event",
        "lane=event",
        "lane=event&source_type=agent_event",
    ):
        assert (await get(client, f"/v1/jobs?{query}"))[0] == 200
    kind = JobFilter(source_types=(SourceType.AGENT_EVENT,))
    assert fake.asked == [("jobs", kind, False)] * 4
    assert (await get(client, "/v1/jobs?lane=event&sourceType=session_summary"))[0] == 200
    assert fake.asked[4] == ("jobs", JobFilter(source_types=()), False)


@pytest.mark.parametrize(
    "query",
    [
        *(
            "status=done",
            "status=",
            "lane=evt",
            "sourceType=event",
            "source_type=x",
            "since=x",
            "until=1.5",
            "cursor=x",
        ),
        *("limit=0", "limit=201", "limit=a", "offset=-1", "projectId=x", "serverSessionId=x", "include=all", "sort=up"),
        *("status=failed&status=queued", f"cursor={'A' * 40}"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/jobs", f"/v1/teams/{TEAM}/jobs", f"/v1/projects/{PROJECT.id}/jobs"])
async def test_a_bad_filter_lists_no_jobs(client: Client, fake: FakeServices, path: str, query: str) -> None:
    status, problem = await get(client, f"{path}?{query}")
    assert (status, problem["error"]) == (400, "ValidationError")
    assert fake.asked == []


async def test_projects_are_found_created_and_read(client: Client, fake: FakeServices) -> None:
    _, listed = await get(client, "/v1/projects?key=git%3Ax")
    created, again = [await post(client, "/v1/projects", {"key": "git:x"}) for _ in range(2)]
    _, read = await get(client, f"/v1/projects/{PROJECT.id}")
    assert listed["projects"] == [created[1]["project"]] == [read["project"]]
    assert (created[0], again[0]) == (201, 200)
    assert fake.asked[0] == ("projects", "git:x", None)
    assert fake.asked[1] == ("find_or_create", "git:x", "git:x", "r1")


@pytest.mark.parametrize(
    "path",
    ["/v1/events/x", "/v1/sessions/x", "/v1/observations/%00", "/v1/jobs/%ED%A0%80", "/v1/projects/" + "1" * 5000],
)
async def test_an_id_that_is_none_names_nothing(client: Client, fake: FakeServices, path: str) -> None:
    assert (await get(client, path))[0] == 404
    assert fake.asked == []


@pytest.mark.parametrize("path", ["/readyz", "/api/readiness", "/api/health"])
async def test_health_decides_the_status(client: Client, fake: FakeServices, path: str) -> None:
    assert (await get(client, path))[0] == 200
    fake.healthy = False
    status, body = await get(client, path)
    assert status == 503
    assert body["status"] in {"degraded", "unavailable"}


async def test_liveness_and_version_ask_nobody(client: Client, fake: FakeServices) -> None:
    assert await get(client, "/healthz") == (200, {"status": "ok", "runtime": "server-beta"})
    assert await get(client, "/api/version") == (200, {"version": "9.9.9"})
    assert fake.asked == []
    assert await get(client, "/v1/info") == (200, {"version": "9.9.9"})
