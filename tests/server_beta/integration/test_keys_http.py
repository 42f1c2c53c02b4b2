"""`/v1/keys`, `/v1/audit` and `/v1/connect` as a client meets them on a running server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from server_beta.version import VERSION
from tests.support.processes import watched_data_dir
from tests.support.server import Answer, Server, command, running_server
from tests.support.waiting import eventually_sync

_MEMBERS = {
    *("id", "teamId", "projectId", "name", "scopes", "status", "createdBy", "rotatedFrom", "expiresAtEpoch"),
    *("revokedAtEpoch", "lastUsedAtEpoch", "createdAtEpoch"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with watched_data_dir() as folder, running_server(folder) as running:
        yield running


@pytest.fixture(scope="module")
def admin_key(server: Server) -> str:
    made = command(server.data_dir, "api-key", "create", "--name", "admin", "--scopes", "admin", "--json")
    return str(json.loads(made.stdout)["key"])


@pytest.fixture(scope="module")
def project(server: Server) -> dict[str, Any]:
    answer = server.ask("POST", "/v1/projects", {"key": "git:example.org/keys", "name": "keys"})
    made: dict[str, Any] = answer.body["project"]
    return made


def _make(server: Server, *scopes: str, **more: object) -> dict[str, Any]:
    answer = server.ask("POST", "/v1/keys", {"name": "ci", "scopes": scopes or ["observations:read"], **more})
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.body
    return made


def _as(server: Server, key: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
    return server.ask(method, path, body, Authorization=f"Bearer {key}", **headers)


def test_a_key_is_told_once(server: Server) -> None:
    made = _make(server)
    assert set(made) == _MEMBERS | {"key"}
    assert _as(server, made["key"], "GET", "/v1/projects").status == 200
    listed = server.ask("GET", "/v1/keys?limit=200")
    (found,) = [key for key in listed.body["keys"] if key["id"] == made["id"]]
    assert found == {name: made[name] for name in _MEMBERS} | {"lastUsedAtEpoch": found["lastUsedAtEpoch"]}
    assert made["key"] not in json.dumps(listed.body)
    assert made["key"].encode() not in b"".join(path.read_bytes() for path in server.data_dir.glob("logs/*"))


def test_words_of_the_typescript_server_are_shown_as_what_they_mean(server: Server) -> None:
    made = _make(server, "memories:read", "memories:write")
    read, write = ["observations:read", "jobs:read"], ["events:write", "sessions:write"]
    assert set(made["scopes"]) == {*read, *write, "observations:write", "jobs:write"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["nothing:read"]},
        {"scopes": ["observations:read\n"]},
        {"scopes": ["observations:read", 1]},
        {"scopes": "observations:read"},
        {"name": ""},
        {"name": "x" * 257},
        {"projectId": "none"},
        {"expiresAtEpoch": 1},
        {"expiresAtEpoch": "tomorrow"},
        {"expires": 4_000_000_000_000},
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_with_its_member(server: Server, wrong: dict[str, object]) -> None:
    answer = server.ask("POST", "/v1/keys", {"name": "ci", "scopes": ["observations:read"], **wrong})
    assert answer.status == 400
    (member,) = wrong
    assert {issue["path"].partition("[")[0] for issue in answer.body["issues"]} == {f"$.{member}"}


def test_a_scope_that_is_none_is_answered_with_those_that_are(server: Server) -> None:
    answer = server.ask("POST", "/v1/keys", {"name": "ci", "scopes": ["nothing:read"]})
    assert "events:write" in answer.body["issues"][0]["message"]


def test_nobody_gives_more_than_they_hold(server: Server, project: dict[str, Any]) -> None:
    assert server.ask("POST", "/v1/keys", {"name": "x", "scopes": ["admin"]}).status == 403
    assert server.ask("POST", "/v1/keys", {"name": "x", "scopes": ["*"]}).status == 403
    narrow = _make(server, "keys:write", "jobs:read", projectId=project["id"])["key"]
    assert _as(server, narrow, "POST", "/v1/keys", {"name": "x", "scopes": ["jobs:write"]}).status == 403
    made = _as(server, narrow, "POST", "/v1/keys", {"name": "x", "scopes": ["jobs:read"]})
    assert (made.status, made.body["projectId"]) == (201, project["id"])


def test_a_revoked_key_opens_nothing_and_can_be_revoked_again(server: Server) -> None:
    made = _make(server)
    for _ in range(2):
        answer = server.ask("DELETE", f"/v1/keys/{made['id']}")
        assert (answer.status, answer.body["status"], answer.body["id"]) == (200, "revoked", made["id"])
        assert set(answer.body) == _MEMBERS
    assert _as(server, made["key"], "GET", "/v1/projects").status == 403
    assert server.ask("POST", f"/v1/keys/{made['id']}/rotate").status == 409


def test_rotation_answers_with_the_key_that_goes_on(server: Server) -> None:
    made = _make(server)
    rotated = server.ask("POST", f"/v1/keys/{made['id']}/rotate?graceSeconds=30").body
    assert rotated["rotatedFrom"] == made["id"]
    assert rotated["key"] != made["key"]
    assert all(_as(server, one["key"], "GET", "/v1/projects").status == 200 for one in (made, rotated))
    again = server.ask("POST", f"/v1/keys/{rotated['id']}/rotate?graceSeconds=0").body
    assert _as(server, again["key"], "GET", "/v1/projects").status == 200
    eventually_sync(lambda: _as(server, rotated["key"], "GET", "/v1/projects").status == 403, within=1)
    assert server.ask("POST", f"/v1/keys/{made['id']}/rotate").status == 409
    assert server.ask("POST", f"/v1/keys/{again['id']}/rotate?graceSeconds=-1").status == 400


def test_a_key_ends_at_its_second(server: Server) -> None:
    ends = int(time.time() * 1000) + 1_500
    made = _make(server, expiresAtEpoch=ends)
    while _as(server, made["key"], "GET", "/v1/projects").status == 200:
        assert time.time() * 1000 < ends + 100
    assert time.time() * 1000 >= ends
    assert server.ask("GET", "/v1/keys?status=expired").body["keys"][0]["id"] == made["id"]


@pytest.mark.parametrize(
    "query", ["status=dead", "projectId=x", "cursor=x", "limit=0", "limit=201", "limit=1&limit=2", "team=x"]
)
def test_filters_that_make_no_sense_are_refused(server: Server, admin_key: str, query: str) -> None:
    assert server.ask("GET", f"/v1/keys?{query}").status == 400
    assert _as(server, admin_key, "GET", f"/v1/audit?{query}").status == 400


def test_pages_lead_through_the_whole_list(server: Server, admin_key: str) -> None:
    for _ in range(3):
        _make(server)
    for path, member in (("/v1/keys", "keys"), ("/v1/audit", "entries")):
        whole = [one["id"] for one in _as(server, admin_key, "GET", f"{path}?limit=200").body[member]]
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = _as(server, admin_key, "GET", f"{path}?limit=2{cursor and '&cursor='}{cursor}").body
            found += [one["id"] for one in page[member]]
            cursor = page["nextCursor"]
        assert found == whole
        assert len(set(found)) == len(found) > 2


def test_the_audit_log_is_for_administrators(server: Server, admin_key: str, project: dict[str, Any]) -> None:
    made = _make(server, projectId=project["id"])
    assert server.ask("GET", "/v1/audit").status == 403
    query = f"action=api_key.created&resourceType=api_key&resourceId={made['id']}&projectId={project['id']}"
    (entry,) = _as(server, admin_key, "GET", f"/v1/audit?{query}").body["entries"]
    assert entry["actor"] == f"api_key:{entry['apiKeyId']}"
    assert entry["details"] == {"name": "ci", "scopes": ["observations:read"]}
    assert entry["requestId"]
    assert not _as(server, admin_key, "GET", f"/v1/audit?{query}&until=2020-01-01T00:00:00Z").body["entries"]
    by_actor = _as(server, admin_key, "GET", f"/v1/audit?actor={entry['actor']}&since=2020-01-01T00:00:00Z").body
    assert entry in by_actor["entries"]


def test_a_project_s_administrator_sees_its_project_s_rows(
    server: Server, admin_key: str, project: dict[str, Any]
) -> None:
    _make(server)
    body = {"name": "project admin", "scopes": ["admin"], "projectId": project["id"]}
    bound = _as(server, admin_key, "POST", "/v1/keys", body).body["key"]
    entries = _as(server, bound, "GET", "/v1/audit?limit=200").body["entries"]
    assert {entry["projectId"] for entry in entries} == {project["id"]}


def test_connect_tells_a_client_where_it_is_and_what_it_may(server: Server, project: dict[str, Any]) -> None:
    made = _make(server, "observations:read", "events:write", projectId=project["id"])
    told = _as(server, made["key"], "GET", "/v1/connect").body
    url = f"http://127.0.0.1:{server.port}"
    assert (told["url"], told["version"], told["runtime"]) == (url, VERSION, "server-beta")
    assert (told["team"]["id"], told["project"]) == (project["teamId"], project)
    assert told["scopes"] == ["events:write", "observations:read"]
    assert told["apiKey"]["id"] == made["id"]
    lines = dict(line.split("=", 1) for line in told["environment"])
    assert lines["CLAUDE_MEM_RUNTIME"] == "server-beta"
    assert lines["CLAUDE_MEM_SERVER_URL"] == url
    assert set(lines) == {"CLAUDE_MEM_RUNTIME", "CLAUDE_MEM_SERVER_URL", "CLAUDE_MEM_SERVER_API_KEY"}
    assert made["key"] not in json.dumps(told)
    assert server.key not in json.dumps(told)


def test_connect_is_for_any_key_that_is_good(server: Server) -> None:
    made = _make(server, "events:write")
    assert _as(server, made["key"], "GET", "/v1/connect").body["scopes"] == ["events:write"]
    assert _as(server, made["key"], "GET", "/v1/projects").status == 403
    assert server.ask("DELETE", f"/v1/keys/{made['id']}").status == 200
    eventually_sync(lambda: _as(server, made["key"], "GET", "/v1/connect").status == 403, within=2)
    assert server.ask("GET", "/v1/connect", Authorization="").status == 401


def test_the_lines_of_connect_point_a_command_at_the_server(server: Server) -> None:
    told = server.ask("GET", "/v1/connect").body
    assert told["project"] is None
    lines = dict(line.split("=", 1) for line in told["environment"])
    with watched_data_dir() as elsewhere:
        asked = command(
            elsewhere, "search", "--project", "*", "cents", **{**lines, "CLAUDE_MEM_SERVER_API_KEY": server.key}
        )
    assert asked.returncode == 0, asked.stderr


def test_connect_names_the_server_as_a_proxy_is_called(server: Server) -> None:
    assert server.ask("GET", "/v1/connect", X_Forwarded_Proto="https").body["url"].startswith("https://")
    assert server.ask("GET", "/v1/connect", X_Forwarded_Proto="javascript").body["url"].startswith("http://")
