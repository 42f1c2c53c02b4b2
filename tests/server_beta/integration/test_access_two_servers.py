"""A key ends in every process that shares the database, also in one that is asked with it all the time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import watched_data_dir
from tests.support.server import Server, command, running_server
from tests.support.waiting import eventually_sync


@dataclass
class Constant:
    """Asks a server with one key without a pause, and remembers when it was let in last."""

    server: Server
    key: str
    let_in_at: float = 0.0
    refused_at: float = 0.0
    statuses: set[int] = field(default_factory=set)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def asking(self) -> Iterator[None]:
        thread = threading.Thread(target=self._ask)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _ask(self) -> None:
        while not self._is_over.is_set():
            asked_at = time.monotonic()
            status = self.server.ask("GET", "/v1/projects", Authorization=f"Bearer {self.key}").status
            self.statuses.add(status)
            if status == 200:
                self.let_in_at = asked_at
            elif not self.refused_at:
                self.refused_at = asked_at


@pytest.fixture
def servers(database: str) -> Iterator[tuple[Server, Server]]:
    with ExitStack() as running:
        folders = [running.enter_context(watched_data_dir()) for _ in range(2)]
        settings = {"CLAUDE_MEM_SERVER_DATABASE_URL": database}
        one, other = (running.enter_context(running_server(folder, **settings)) for folder in folders)
        yield one, other


def _cli(data_dir: Path, database: str, *arguments: str) -> Any:
    done = command(data_dir, "api-key", *arguments, "--json", CLAUDE_MEM_SERVER_DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _make(server: Server, **more: object) -> dict[str, Any]:
    answer = server.ask("POST", "/v1/keys", {"name": "ci", "scopes": ["observations:read"], **more})
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.body
    return made


@pytest.mark.parametrize("door", ["http", "cli"])
def test_a_key_that_is_revoked_through_one_door_is_refused_at_the_other_within_a_second(
    servers: tuple[Server, Server], database: str, door: str
) -> None:
    one, other = servers
    made = _make(one)
    client = Constant(other, made["key"])
    with client.asking():
        eventually_sync(lambda: client.let_in_at, within=5)
        if door == "http":
            assert one.ask("DELETE", f"/v1/keys/{made['id']}").status == 200
        else:
            _cli(one.data_dir, database, "revoke", made["id"])
        revoked_at = time.monotonic()
        eventually_sync(lambda: client.refused_at, within=5)
        # Let in once more after a refusal would be let in for ever.
        eventually_sync(lambda: time.monotonic() > client.refused_at + 0.7, within=5)
    assert client.let_in_at < revoked_at + 1
    assert client.let_in_at < client.refused_at
    assert client.statuses == {200, 403}


def test_a_key_that_is_in_constant_use_ends_at_its_second_everywhere(servers: tuple[Server, Server]) -> None:
    ends = time.time() + 2
    made = _make(servers[0], expiresAtEpoch=int(ends * 1000))
    clients = [Constant(server, made["key"]) for server in servers]
    with clients[0].asking(), clients[1].asking():
        eventually_sync(lambda: all(client.refused_at for client in clients), within=10)
    offset = time.time() - time.monotonic()
    for client in clients:
        assert ends - 0.5 < client.let_in_at + offset < ends + 0.1
        assert client.statuses == {200, 403}


def test_a_client_that_takes_up_the_new_key_within_the_grace_is_never_refused(
    servers: tuple[Server, Server], database: str
) -> None:
    one, other = servers
    key = _make(one)
    for number in range(3):
        rotating = Constant(other, key["key"])
        with rotating.asking():
            eventually_sync(lambda client=rotating: client.let_in_at, within=5)  # type: ignore[misc]
            if number:
                key = _cli(one.data_dir, database, "rotate", key["id"], "--grace", "30")
            else:
                key = one.ask("POST", f"/v1/keys/{key['id']}/rotate").body
            assert other.ask("GET", "/v1/projects", Authorization=f"Bearer {key['key']}").status == 200
        assert rotating.statuses == {200}
