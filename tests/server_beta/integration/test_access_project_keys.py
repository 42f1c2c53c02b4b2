"""A key for one project makes no other, whichever door it tries, and leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.processes import watched_data_dir
from tests.support.server import Answer, Server, command, running_server, turn

_NEW = "git:example.org/new"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with watched_data_dir() as folder, running_server(folder) as running:
        yield running


@pytest.fixture(scope="module")
def own(server: Server) -> dict[str, Any]:
    answer = server.ask("POST", "/v1/projects", {"key": "git:example.org/own", "name": "own"})
    made: dict[str, Any] = answer.body["project"]
    return made


@pytest.fixture(scope="module", params=["observations:read,events:write,sessions:write,projects:write", "*"])
def bound_key(request: pytest.FixtureRequest, server: Server, own: dict[str, Any]) -> str:
    """Give a key for one project, with all that a client needs and with all that there is."""
    options = ("--name", "bound", "--project", own["id"], "--scopes", request.param)
    made = command(server.data_dir, "api-key", "create", *options, "--json")
    return str(json.loads(made.stdout)["key"])


def _projects(server: Server) -> set[str]:
    return {project["key"] for project in server.ask("GET", "/v1/projects").body["projects"]}


def _as(server: Server, key: str, method: str, path: str, body: object, **headers: str) -> Answer:
    return server.ask(method, path, body, Authorization=f"Bearer {key}", **headers)


_LEGACY = {"contentSessionId": "s-9", "project": _NEW, "cwd": "/home/dev/new"}
_BODIES: dict[str, object] = {
    "/v1/projects": {"key": _NEW, "name": "new"},
    "/v1/sessions/start": {"project": {"key": _NEW, "name": "new"}, "externalSessionId": "s"},
    "/api/sessions/init": {**_LEGACY, "prompt": "hello"},
    "/api/sessions/observations": {**_LEGACY, "tool_name": "Bash", "tool_input": {}, "tool_response": {}},
    "/api/sessions/summarize": {**_LEGACY, "last_assistant_message": "done"},
}


@pytest.mark.parametrize("path", _BODIES)
def test_a_project_is_not_made_by_name(server: Server, own: dict[str, Any], bound_key: str, path: str) -> None:
    before = _projects(server)
    assert _as(server, bound_key, "POST", path, _BODIES[path]).status == 404
    assert _projects(server) == before


@pytest.mark.parametrize("event", [name for name, _ in turn()] + ["SessionStart", "SessionEnd", "PreToolUse"])
def test_a_hook_of_another_checkout_stores_nothing(
    server: Server, own: dict[str, Any], bound_key: str, event: str
) -> None:
    before = _projects(server)
    body = {
        **{"session_id": "s-9", "prompt_id": "p-9", "cwd": "/home/dev/new", "source": "startup", "reason": "other"},
        **{"prompt": "hello", "tool_name": "Read", "tool_input": {"file_path": "/home/dev/new/a.py"}},
        **{"tool_response": {}, "last_assistant_message": "done"},
    }
    answer = server.hook(
        event, body, Authorization=f"Bearer {bound_key}", X_Claude_Mem_Project="git%3Aexample.org%2Fnew"
    )
    assert answer.status == 404
    assert _projects(server) == before


def test_its_own_project_is_found_by_its_key(server: Server, own: dict[str, Any], bound_key: str) -> None:
    named = {"key": own["key"], "name": "whatever"}
    assert _as(server, bound_key, "POST", "/v1/projects", named).body["project"] == own
    started = _as(server, bound_key, "POST", "/v1/sessions/start", {"project": named, "externalSessionId": "s"})
    assert started.body["session"]["projectId"] == own["id"]
    event = server.hook(*turn()[0], Authorization=f"Bearer {bound_key}", X_Claude_Mem_Project="git%3Aexample.org%2Fown")
    assert event.status in {200, 201}
