"""What hooks, command line and MCP ask of a server, the keys that they are given let them do.

The questions are read out of the programs themselves, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from server_beta.domain.principals import CLIENT_SCOPES, LOCAL_SCOPES, Scope
from server_beta.http.route import Entry, Route
from server_beta.http.routes import ROUTES
from tests.support.processes import REPOSITORY, watched_data_dir
from tests.support.server import Server, command, running_server, turn

_CLI = REPOSITORY / "runtime" / "server_beta" / "cli"
_HOOKS = REPOSITORY / "hooks" / "capture"
_NO_PROJECT = "00000000-0000-7000-8000-000000000000"

# What each question needs to be answered; every one that the programs ask must be here.
_ASKED: dict[tuple[str, str], tuple[str, object]] = {
    ("GET", "/v1/connect"): ("", None),
    ("GET", "/v1/projects"): ("", None),
    ("POST", "/v1/search"): ("", {"query": "cents"}),
    ("GET", "/v1/timeline"): ("?anchor=9f3c21d0", None),
    ("POST", "/v1/observations/batch"): ("", {"ids": ["9f3c21d0"]}),
    ("GET", "/v1/context/recent"): (f"?projectId={_NO_PROJECT}", None),
}


def _questions(folder: Path) -> set[tuple[str, str]]:
    """Find every call of `ask` and the method and path that it names."""
    found: set[tuple[str, str]] = set()
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ask":
                method, where = node.args[1], node.args[2]
                assert isinstance(method, ast.Constant), f"{path.name}:{node.lineno}"
                assert isinstance(where, ast.Constant), f"{path.name}:{node.lineno}"
                found.add((str(method.value), str(where.value)))
    return found


def _hook_paths() -> set[str]:
    """Find the beginning of every path below /v1 or /api that the hook posts to."""
    return {
        str(node.value)
        for path in sorted(_HOOKS.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and str(node.value).startswith(("/v1/", "/api/"))
    }


def _route(method: str, path: str) -> Route:
    (route,) = (route for route in ROUTES if (route.method, route.path) == (method, path))
    return route


@pytest.mark.parametrize("scopes", [LOCAL_SCOPES, CLIENT_SCOPES], ids=["local", "client"])
def test_every_route_that_the_programs_ask_is_open_to_their_keys(scopes: frozenset[Scope]) -> None:
    questions = _questions(_CLI)
    assert questions == set(_ASKED)
    for method, path in questions:
        assert _route(method, path).scope in {*scopes, Entry.ANY_KEY}, path
    assert _hook_paths() == {"/v1/hooks/", "/v1/hooks/claude-code/"}
    hooks = [route for route in ROUTES if route.path.startswith("/v1/hooks/")]
    assert hooks
    assert all(route.scope in scopes for route in hooks)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with watched_data_dir() as folder, running_server(folder) as running:
        yield running


@pytest.fixture(params=["local", "client"])
def key(request: pytest.FixtureRequest, server: Server) -> str:
    if request.param == "local":
        return server.key
    made = command(server.data_dir, "api-key", "create", "--name", "client", "--json")
    return str(json.loads(made.stdout)["key"])


def test_a_running_server_answers_every_question(server: Server, key: str) -> None:
    for (method, path), (query, body) in _ASKED.items():
        answer = server.ask(method, path + query, body, Authorization=f"Bearer {key}")
        # The observation and the project that are asked for are not there.
        assert answer.status in {200, 404}, (method, path, answer)


def test_a_running_server_takes_every_hook_even_of_a_new_project(server: Server, key: str) -> None:
    project = f"git%3Aexample.org%2F{key[-6:]}"
    start: dict[str, object] = {"session_id": "s", "cwd": "/home/dev/shop", "source": "startup"}
    for name, body in [*turn(), ("SessionStart", start)]:
        answer = server.hook(name, body, Authorization=f"Bearer {key}", X_Claude_Mem_Project=project)
        assert answer.status in {200, 201}, (name, answer)
