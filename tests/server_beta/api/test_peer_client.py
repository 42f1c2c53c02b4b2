"""Clients of the TypeScript server, pointed here: each call that they make, and each member that they read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.server_beta.api.client import Answer, Client
from tests.server_beta.api.conftest import Api
from tests.server_beta.api.world import Home
from tests.support.waiting import eventually_sync

NOW = 1_760_000_000_000
SESSION = set(
    "id projectId teamId externalSessionId contentSessionId agentId agentType platformSource generationStatus metadata"
    " startedAtEpoch endedAtEpoch lastGeneratedAtEpoch createdAtEpoch updatedAtEpoch".split()
)
EVENT = set(
    "id projectId teamId serverSessionId sourceAdapter sourceEventId eventType payload metadata occurredAtEpoch"
    " receivedAtEpoch createdAtEpoch".split()
)
MEMORY = set("id projectId teamId serverSessionId kind content metadata createdAtEpoch updatedAtEpoch".split())
QUEUED = set("id status bullmqJobId sourceType sourceId transport createdAtEpoch updatedAtEpoch".split())
WAITED = QUEUED | {"attempts", "maxAttempts"}
LISTED = set(
    "id projectId teamId sourceType sourceId status attempts maxAttempts createdAtEpoch completedAtEpoch failedAtEpoch"
    " lastError".split()
)
JOB = LISTED | set(
    "agentEventId serverSessionId jobType bullmqJobId nextAttemptAtEpoch cancelledAtEpoch updatedAtEpoch".split()
)


@dataclass(frozen=True, slots=True)
class Peer:
    """What hooks and MCP tools share: a project, and calls that fail unless the answer is a good one."""

    client: Client
    project: str
    home: Home

    def get(self, path: str) -> Any:
        """Read, as their client does: with the header of a body and without one."""
        return self._good(self.client.ask("GET", path))

    def post(self, path: str, body: object) -> Any:
        """Send a body."""
        return self._good(self.client.send("POST", path, body))

    def start(self, session: str, **more: object) -> Any:
        """Start a session as the hook of a prompt does."""
        said = {
            "externalSessionId": session,
            "contentSessionId": session,
            "agentId": None,
            "agentType": None,
            "platformSource": "claude",
            "metadata": {"project": "shop", "prompt": "Fix the cart"},
        }
        return self.post("/v1/sessions/start", {"projectId": self.project, **said, **more})["session"]

    def event(self, kind: str, query: str = "", **more: object) -> Any:
        """Record an event with what all of them have."""
        said = {"projectId": self.project, "sourceType": "hook", "eventType": kind, "occurredAtEpoch": NOW}
        return self.post(f"/v1/events{query}", {**said, **more})

    def _good(self, answer: Answer) -> Any:
        assert 200 <= answer.status < 300, answer
        assert answer.headers["content-type"].startswith("application/json")
        return answer.json


def peer_of(api: Api, *, scopes: tuple[str, ...] = ("memories:read", "memories:write")) -> tuple[Home, str]:
    """Make a project, and a key for it with the words for scopes that the TypeScript server has."""
    home = api.team(f"peer-{uuid4().hex[:6]}")[0]
    with api.client(home.keys["admin"]) as admin:
        wanted = {"name": "peer", "scopes": list(scopes), "projectId": str(home.ids["project"])}
        made = admin.send("POST", "/v1/keys", wanted)
    assert made.status == 201, made
    return home, made.json["key"]


@pytest.fixture
def peer(api: Api) -> Iterator[Peer]:
    home, key = peer_of(api)
    with api.client(key) as client:
        yield Peer(client, str(home.ids["project"]), home)


@pytest.fixture
def generating(generating_api: Api) -> Iterator[Peer]:
    home, key = peer_of(generating_api)
    with generating_api.client(key) as client:
        yield Peer(client, str(home.ids["project"]), home)


TOOL = {
    "tool_name": "Edit",
    "tool_input": {"file_path": "/home/dev/shop/src/cart.py", "old_string": "total = 0", "new_string": "total = tax"},
    "tool_response": {"filePath": "/home/dev/shop/src/cart.py"},
    "cwd": "/home/dev/shop",
    "platformSource": "claude",
}
SAID = "Fixed the total: the cart now adds the tax. I decided to round half up."


@pytest.mark.parametrize("named", [{}, {"platformSource": "claude"}], ids=["older hooks", "newer hooks"])
def test_a_session_of_hooks_becomes_memory(generating: Peer, named: dict[str, str]) -> None:
    session = generating.start("s-1")
    assert session.keys() >= SESSION
    assert (session["externalSessionId"], session["contentSessionId"]) == ("s-1", "s-1")
    used = generating.event("tool_use", contentSessionId="s-1", payload=TOOL, **named)
    assert used["event"].keys() >= EVENT
    assert used["event"]["payload"] == TOOL
    assert used["event"]["serverSessionId"] == session["id"]
    assert used["generationJob"].keys() >= QUEUED
    assert (used["generationJob"]["status"], used["generationJob"]["transport"]) == ("queued", "enqueued")
    assert generating.start("s-1")["id"] == session["id"]
    answered = {"last_assistant_message": SAID, "platformSource": "claude"}
    generating.event(
        "assistant_message", serverSessionId=session["id"], contentSessionId="s-1", payload=answered, **named
    )
    ended = generating.post(f"/v1/sessions/{session['id']}/end", {})
    assert ended["session"].keys() >= SESSION
    assert ended["session"]["endedAtEpoch"]
    assert ended["generationJob"].keys() >= QUEUED
    assert ended["generationJob"]["sourceType"] == "session_summary"
    again = generating.post(f"/v1/sessions/{session['id']}/end", {})
    assert again["generationJob"]["id"] == ended["generationJob"]["id"]
    for job in (used["generationJob"]["id"], ended["generationJob"]["id"]):
        assert _finished(generating, job)["status"] == "completed"
    learned = generating.get(f"/v1/events/{used['event']['id']}/observations")
    assert learned["eventId"] == used["event"]["id"]
    assert learned["observations"]
    assert all(one.keys() >= MEMORY for one in learned["observations"])
    recent = generating.post("/v1/context", {"projectId": generating.project})
    (summary,) = [one for one in recent["observations"] if one["kind"] == "summary"]
    assert "Fixed the total" in summary["content"]
    assert "src/cart.py" in summary["content"]


def _finished(peer: Peer, job_id: str) -> Any:
    def over() -> Any:
        job = peer.get(f"/v1/jobs/{job_id}")["generationJob"]
        assert job.keys() >= JOB
        return None if job["status"] in {"queued", "processing"} else job

    return eventually_sync(over, within=30)


def test_waiting_tells_how_generation_went(generating: Peer) -> None:
    waited = generating.event("note", "?wait=true", payload={"text": "Prices are kept in cents, never in floats."})
    assert waited.keys() >= {"event", "generationJob"}
    assert waited["generationJob"].keys() >= WAITED
    assert (waited["generationJob"]["status"], waited.get("waitTimedOut", False)) == ("completed", False)
    stored = generating.event("note", "?wait=true&generate=false", payload={"text": "Nobody learns from this."})
    assert stored["generationJob"] is None
    said = {"projectId": generating.project, "sourceType": "api", "eventType": "note", "occurredAtEpoch": NOW}
    texts = [{"text": f"The {word} warehouse closes at noon."} for word in ("first", "second", "third")]
    batch = generating.post("/v1/events/batch?wait=true", [{**said, "payload": text} for text in texts])
    assert [one["event"]["payload"] for one in batch["events"]] == texts
    assert {one["generationJob"]["status"] for one in batch["events"]} == {"completed"}
    assert not batch.get("waitTimedOut")
    for query in ("?generate=false&wait=true", "?generate=false&wait=false"):
        unlearned = generating.post(f"/v1/events/batch{query}", [{**said, "payload": {"query": query}}])
        assert unlearned["events"][0].get("generationJob") is None


def test_the_tools_of_mcp(peer: Peer) -> None:
    recorded = peer.event("note", sourceType="api", memorySessionId="m-1", serverSessionId=None, contentSessionId=None)
    assert recorded["generationJob"]["status"] == "queued"
    job = peer.get(f"/v1/jobs/{recorded['generationJob']['id']}")["generationJob"]
    assert job.keys() >= JOB
    assert (job["id"], job["status"], job["lastError"]) == (recorded["generationJob"]["id"], "queued", None)
    unlearned = peer.event("note", "?generate=false", payload={"a": 1})
    assert "generationJob" not in unlearned
    older = {"projectId": peer.project, "content": "The billing cron runs in UTC.", "kind": "manual"}
    newer = {"projectId": peer.project, "kind": "decision", "type": "decision", "narrative": "Invoices round half up."}
    written = peer.post("/v1/memories", {**older, "metadata": {"tag": "mcp"}})["memory"]
    assert written.keys() >= MEMORY
    assert (written["content"], written["kind"], written["metadata"]) == (older["content"], "manual", {"tag": "mcp"})
    assert (
        peer.post("/v1/memories", {"projectId": peer.project, "content": "A bare one."})["memory"]["kind"] == "manual"
    )
    rounded = peer.post("/v1/memories", {**newer, "title": "Rounding", "serverSessionId": None})["memory"]
    assert "Invoices round half up." in rounded["content"]
    untitled = peer.post("/v1/memories", newer)["memory"]
    assert untitled["content"] == "Invoices round half up."
    found = peer.post("/v1/search", {"projectId": peer.project, "query": "billing cron", "limit": 10})["observations"]
    assert [one["id"] for one in found] == [written["id"]]
    assert found[0].keys() >= MEMORY
    assert peer.post("/v1/search", {"projectId": peer.project, "query": "nosuchword"}) == {"observations": []}
    assert peer.client.ask("DELETE", f"/v1/memories/{written['id']}").json == {"deleted": True, "id": written["id"]}


@pytest.mark.parametrize("payload", ["text", ["a", {"b": 1}], 7, 1.5, False], ids=lambda value: type(value).__name__)
def test_a_payload_is_any_json(peer: Peer, payload: object) -> None:
    first, again = (peer.event("note", payload=payload) for _ in range(2))
    assert first["event"]["payload"] == {"value": payload}
    assert again["event"]["id"] == first["event"]["id"]
    assert peer.event("note", payload=None)["event"]["payload"] == {}


@pytest.mark.parametrize("said", [None, 7, "", "x" * 65, {"a": 1}], ids=["null", "number", "empty", "long", "object"])
def test_what_is_no_platform_in_a_payload_is_data_like_any(peer: Peer, said: object) -> None:
    event = peer.event("note", payload={"platformSource": said})["event"]
    assert (event["platformSource"], event["payload"]) == ("api", {"platformSource": said})
    named = peer.event("note", payload={"platformSource": "codex"}, platformSource="cursor")["event"]
    assert named["platformSource"] == "cursor"


def test_context_is_about_a_question_or_about_what_is_new(peer: Peer) -> None:
    texts = ["The deploy pipeline signs images.", "The \x1b[2Jdeploy pipeline waits for tests.", "Prices are in cents."]
    for text in texts:
        peer.post("/v1/memories", {"projectId": peer.project, "content": text})
    about = peer.post("/v1/context", {"projectId": peer.project, "query": "deploy", "limit": 5})
    assert {one["content"] for one in about["observations"]} == set(texts[:2])
    assert about["observations"][0].keys() >= MEMORY
    assert sorted(about["context"].split("\n\n")) == [
        "The deploy pipeline signs images.",
        "The deploy pipeline waits for tests.",
    ]
    for said in ({}, {"query": None}, {"query": ""}, {"query": " \n"}):
        newest = peer.post("/v1/context", {"projectId": peer.project, "limit": 2, **said})
        assert [one["content"] for one in newest["observations"]] == [texts[2], texts[1]]
    prompt = "How does the deploy pipeline work? " + "x" * 100_000
    asked = peer.post(
        "/v1/context", {"projectId": peer.project, "query": prompt, "limit": 5, "platformSource": "claude"}
    )
    assert {one["content"] for one in asked["observations"]} == set(texts[:2])
    assert peer.post("/v1/context", {"projectId": peer.project, "query": "nosuchword"}) == {
        "observations": [],
        "context": "",
    }


def test_a_context_keeps_to_its_budget(peer: Peer) -> None:
    for text in ("short one", "long " * 400, "short two"):
        peer.post("/v1/memories", {"projectId": peer.project, "content": text})
    tight = peer.post("/v1/context", {"projectId": peer.project, "limit": 3, "tokenBudget": 20})
    assert tight["context"] == "short two\n\nshort one"
    assert [one["content"] for one in tight["observations"]] == ["short two", "short one"]
    assert peer.post("/v1/context", {"projectId": peer.project, "tokenBudget": 1})["observations"] == []
    for wrong in ({"limit": 0}, {"limit": 101}, {"tokenBudget": 0}, {"projectId": None}, {"query": 7}):
        peer.client.send("POST", "/v1/context", {"projectId": peer.project, **wrong}).assert_problem(400)


def test_the_pages_of_jobs(peer: Peer) -> None:
    made = [peer.event("note", payload={"n": n})["generationJob"]["id"] for n in range(3)]
    for path in ("/v1/jobs", f"/v1/projects/{peer.project}/jobs", f"/v1/teams/{peer.home.ids['team']}/jobs"):
        page = peer.get(f"{path}?status=queued&source_type=agent_event&since=2020-01-01T00:00:00Z&limit=2&offset=1")
        assert page.keys() >= {"jobs", "total", "limit", "offset", "requestId"}
        assert (page["limit"], page["offset"], len(page["jobs"])) == (2, 1, 2)
        assert page["jobs"][0].keys() >= LISTED
        assert {"id": made[1]}.items() <= page["jobs"][0].items()
        assert "payload" not in page["jobs"][0]
    cancelled = peer.post(f"/v1/jobs/{made[0]}/cancel", {})
    assert cancelled["generationJob"].keys() >= JOB
    assert (cancelled["generationJob"]["status"], cancelled["alreadyCancelled"]) == ("cancelled", False)
    assert peer.post(f"/v1/jobs/{made[0]}/cancel", {})["alreadyCancelled"] is True
    retried = peer.post(f"/v1/jobs/{made[0]}/retry", {})
    assert retried["generationJob"].keys() >= JOB
    assert (retried["retriedCount"], retried["alreadyQueued"]) == (1, False)
    assert retried["requestId"]
    assert peer.post(f"/v1/jobs/{made[0]}/retry", {})["alreadyQueued"] is True
    peer.client.ask("GET", "/v1/jobs?include=payload").assert_problem(403)


def test_refusals_are_read_by_status_error_and_message(api: Api, peer: Peer) -> None:
    event = {"projectId": peer.project, "sourceType": "hook", "eventType": "note", "occurredAtEpoch": NOW}
    _, reader = peer_of(api, scopes=("memories:read",))
    stranger = api.team("stranger")[0]
    for key, status, word in (
        (None, 401, "Unauthorized"),
        ("cmem_wrong", 403, "Forbidden"),
        (reader, 403, "Forbidden"),
    ):
        with api.client(key) as client:
            refused = client.send("POST", "/v1/events", event)
        refused.assert_problem(status)
        assert refused.json["error"] == word
    for noun, path in (
        ("event", "/v1/events/{}"),
        ("event", "/v1/events/{}/observations"),
        ("session", "/v1/sessions/{}"),
        ("job", "/v1/jobs/{}"),
        ("team", "/v1/teams/{}/jobs"),
        ("project", "/v1/projects/{}/jobs"),
    ):
        foreign = peer.client.ask("GET", path.format(stranger.ids[noun]))
        foreign.assert_problem(404)
        assert foreign.json["error"] == "NotFound"
    theirs = str(stranger.ids["project"])
    for path, body in (
        ("/v1/events", {**event, "projectId": theirs}),
        ("/v1/events", {**event, "serverSessionId": str(stranger.ids["session"])}),
        ("/v1/sessions/start", {"projectId": theirs}),
        (f"/v1/sessions/{stranger.ids['session']}/end", {}),
        ("/v1/memories", {"projectId": theirs, "content": "x"}),
        ("/v1/search", {"projectId": theirs, "query": "x"}),
        ("/v1/context", {"projectId": theirs, "query": "x"}),
    ):
        peer.client.send("POST", path, body).assert_problem(404)
    wrong = peer.client.send("POST", "/v1/events", {**event, "sourceType": "robot", "occurredAtEpoch": "now"})
    wrong.assert_problem(400)
    assert wrong.json["error"] == "ValidationError"
    assert {issue["path"] for issue in wrong.json["issues"]} == {"$.sourceType", "$.occurredAtEpoch"}
    assert all(issue.keys() == {"path", "message", "code"} for issue in wrong.json["issues"])
    peer.client.send("POST", "/v1/events?wait=perhaps", event).assert_problem(400)
    peer.client.send("POST", "/v1/search", {"projectId": peer.project, "query": ""}).assert_problem(400)


def test_a_key_in_its_own_header_and_a_request_id(api: Api, peer: Peer) -> None:
    with api.client(None) as client:
        named = {"X-Api-Key": str(peer.client.key), "X-Request-Id": "asked-7"}
        answer = client.ask("GET", "/v1/jobs", headers=named)
        lower = client.ask("GET", "/v1/jobs", headers={"authorization": f"bearer {peer.client.key}"})
    assert (answer.status, answer.json["requestId"], answer.headers["x-request-id"]) == (200, "asked-7", "asked-7")
    assert lower.status == 200


def test_the_older_routes_of_sessions(peer: Peer) -> None:
    said = {"contentSessionId": "s-1", "platformSource": "claude"}
    begun = peer.post("/api/sessions/init", {**said, "project": peer.home.canary, "prompt": "Fix the cart"})
    # Their hook reads on only behind a number.
    assert isinstance(begun["sessionDbId"], int)
    assert 0 < begun["sessionDbId"] < 2**53
    assert (begun["promptNumber"], begun["skipped"], begun["contextInjected"]) == (1, False, False)
    used = peer.post("/api/sessions/observations", {**said, **TOOL, "cwd": "", "tool_use_id": "toolu_1", "extra": 1})
    assert used.keys() >= set(
        "status observationCount sessionId serverSessionId eventId generationJobId transport".split()
    )
    assert (used["status"], used["observationCount"], used["sessionId"]) == ("queued", 1, begun["serverSessionId"])
    ended = peer.post("/api/sessions/summarize", {**said, "last_assistant_message": SAID})
    assert ended.keys() >= set("status sessionId serverSessionId generationJobId transport".split())
    assert (ended["status"], ended["transport"]) == ("queued", "enqueued")
    skipped = peer.post("/api/sessions/summarize", {**said, "agentId": "a-1"})
    assert skipped == {"status": "skipped", "reason": "subagent_context"}
    assert peer.client.send("POST", "/api/sessions/summarize", {}).json["error"] == "ValidationError"


def test_the_open_routes(api: Api) -> None:
    with api.client(None) as client:
        assert client.ask("GET", "/healthz").json == {"status": "ok", "runtime": "server-beta"}
        assert client.ask("GET", "/api/readiness").status == 200
        assert client.ask("GET", "/api/version").json["version"]
        info = client.ask("GET", "/v1/info").json
        health = client.ask("GET", "/api/health").json
    assert (info["name"], info["runtime"], info["authMode"]) == ("claude-mem-server", "server-beta", "api-key")
    assert info["postgres"]["initialized"] is True
    assert isinstance(info["postgres"]["schemaVersion"], int)
    assert info["boundaries"].keys() == set(
        "queueManager generationWorkerManager providerRegistry eventBroadcaster".split()
    )
    for boundary in info["boundaries"].values():
        assert boundary["status"] in {"disabled", "active", "degraded", "errored"}
        assert boundary["reason"]
    lane = set("kind name waiting active completed failed delayed stalled unavailable".split())
    assert all(one.keys() >= lane for one in [*info["queueLanes"], *health["queue"]["lanes"]])
    assert {one["kind"] for one in info["queueLanes"]} >= {"event", "summary"}
    assert health.keys() >= set("status runtime version pid uptime initialized queue".split())
    assert (health["runtime"], health["initialized"], health["queue"]["engine"]) == ("server-beta", True, "bullmq")
