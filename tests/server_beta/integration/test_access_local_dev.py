"""`local-dev`: usable without a key from this machine, by nobody else, and never to administer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server_beta.domain.errors import Forbidden, Unauthorized
from server_beta.domain.principals import LOCAL_SCOPES, Scope
from server_beta.domain.tenancy import LOCAL_TEAM_ID
from server_beta.http.routes import ROUTES
from server_beta.services.access import Access
from server_beta.storage.database import Database
from tests.support.clock import FrozenClock
from tests.support.processes import watched_data_dir
from tests.support.server import Server, command, running_server, turn

_PROXY_HEADERS = ["Forwarded", "X_Forwarded_For", "X_Forwarded_Host", "X_Forwarded_Proto", "X_Real_IP", "Via"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with watched_data_dir() as folder, running_server(folder, CLAUDE_MEM_AUTH_MODE="local-dev") as running:
        yield running


def test_without_a_key_everything_but_administration_works(server: Server) -> None:
    for name, body in turn():
        assert server.hook(name, body, Authorization="").status == 201
    told = server.ask("GET", "/v1/connect", Authorization="").body
    assert (told["team"]["id"], told["apiKey"]) == (str(LOCAL_TEAM_ID), None)
    assert set(told["scopes"]) == set(map(str, LOCAL_SCOPES))
    made = server.ask("POST", "/v1/keys", {"name": "x", "scopes": ["observations:read"]}, Authorization="")
    assert (made.status, made.body["createdBy"]) == (201, "local")


def test_administration_is_refused(server: Server) -> None:
    administrative = [route for route in ROUTES if route.scope is Scope.ADMIN]
    assert administrative
    for route in administrative:
        path = route.path.replace("{id}", "00000000-0000-7000-8000-000000000000")
        assert server.ask(route.method, path, Authorization="").status == 403, path


@pytest.mark.parametrize("header", _PROXY_HEADERS)
def test_what_a_proxy_passes_on_needs_a_key(server: Server, header: str) -> None:
    assert server.ask("GET", "/v1/projects", Authorization="", **{header: "127.0.0.1"}).status == 401
    assert server.ask("GET", "/v1/projects", **{header: "127.0.0.1"}).status == 200


def test_a_key_that_is_wrong_is_not_as_good_as_none(server: Server) -> None:
    assert server.ask("GET", "/v1/projects", Authorization="Bearer cmem_wrong").status == 403


@pytest.mark.parametrize(
    ("mode", "is_loopback", "proxied", "lets_in"),
    [
        ("local-dev", True, False, True),
        ("local-dev", True, True, False),
        ("local-dev", False, False, False),
        ("api-key", True, False, False),
    ],
)
async def test_who_needs_no_key(
    store: Database, clock: FrozenClock, mode: str, is_loopback: bool, proxied: bool, lets_in: bool
) -> None:
    access = Access(store, clock, mode)
    if not lets_in:
        with pytest.raises(Unauthorized):
            await access.authenticate(None, remote_is_loopback=is_loopback, proxied=proxied)
        return
    caller = await access.authenticate(None, remote_is_loopback=is_loopback, proxied=proxied)
    assert (caller.team_id, caller.scopes, caller.actor) == (LOCAL_TEAM_ID, LOCAL_SCOPES, "local")
    with pytest.raises(Forbidden):
        caller.require(Scope.ADMIN)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_does_not_start_where_others_could_reach_it(host: str) -> None:
    with watched_data_dir() as folder:
        done = command(folder, "start", CLAUDE_MEM_AUTH_MODE="local-dev", CLAUDE_MEM_SERVER_HOST=host)
        assert done.returncode == 1
        assert "works on a loopback address only" in done.stderr
        assert not (folder / "postgres").exists()


@pytest.mark.parametrize("mode", ["none", "off", "better-auth", "api-key,local-dev"])
def test_an_unknown_mode_does_not_start(mode: str) -> None:
    with watched_data_dir() as folder:
        done = command(folder, "start", CLAUDE_MEM_AUTH_MODE=mode)
        assert done.returncode == 1
        assert done.stderr.startswith(f"CLAUDE_MEM_AUTH_MODE={mode} is not known; use one of: api-key, local-dev.")
        assert not (folder / "postgres").exists()
