"""Nothing secret or private is in any log, state file or report, whatever is sent and whatever fails."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from server_beta.http.route import JSON, Route
from server_beta.http.routes import ROUTES
from tests.support.paths import concrete_path
from tests.support.processes import processes_of
from tests.support.server import Server, command, running_server, turn

CANARY = "canary7f3a"
FOUND = re.compile(rb"canary7f3a[\w-]*")
_TABLES = ("agent_events", "server_sessions", "observations", "observation_generation_jobs", "projects", "audit_log")
# Where a body must have no members but those that are known.
_MEMBERS = {
    "observations": ("projectId", "content", "title", "metadata"),
    "memories": ("projectId", "content", "title", "metadata"),
    "keys": ("name", "scopes"),
}
_QUERIES = {"/v1/context/recent": "?projectId={projects}", "/v1/timeline": "?anchor={observations}"}
_BROKEN = (
    f'{{"{CANARY}-key": "{CANARY}-malformed'.encode(),
    f'{{"a": "{CANARY}-nul\\u0000", "b": "{CANARY}-surrogate\\ud800"}}'.encode(),
    f'["{CANARY}-array"]'.encode(),
    f'"{CANARY}-text"'.encode(),
    f'{{"{CANARY}": 1e999}}'.encode(),
    b"[" * 500 + f'"{CANARY}-deep"'.encode(),
    f'{{"projectId": "{CANARY}-id", "eventType": ["{CANARY}-type"], "query": 5, "name": "{CANARY}-n'.encode()
    + b'\xff"}',
)
_QUOTING = f"""
CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{CANARY}-message %', NEW; END $$
"""
_HEADERS = (
    {"X-Claude-Mem-Occurred-At": f"{CANARY}-instant"},
    {"X-Claude-Mem-Event-Id": f"{CANARY}-event-id"},
    {"Last-Event-ID": f"{CANARY}-last"},
    {"Content-Type": f"text/{CANARY}"},
    {"Content-Encoding": f"{CANARY}-encoding"},
)
_STRANGE = (
    {"Authorization": f"Basic {CANARY}-basic"},
    {"Authorization": f"Token token={CANARY}-token"},
    {"Authorization": f"{CANARY}-scheme"},
    {"Authorization": f"Bearer {CANARY}-bearer"},
    {"X-Api-Key": f"cmem_{CANARY}"},
    {"X-Api-Key": f"{CANARY}-\u00e9"},
    {"Host": f"{CANARY}.example"},
    {"Origin": f"https://{CANARY}.example"},
    {"Cookie": f"session={CANARY}-cookie"},
)


def ask(
    server: Server, route: Route, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Send a request, with secrets in every header that is not about the connection; a stream is not read."""
    sent = {
        "X-Request-Id": f"{CANARY} request id",
        "User-Agent": f"{CANARY}-agent",
        "Referer": f"http://127.0.0.1/{CANARY}-referer",
        "X-Claude-Mem-Project": quote(f"git:example.org/{CANARY}-project"),
        **(headers or {}),
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(route.method, path, body, {name: text.encode() for name, text in sent.items()})
        answer = connection.getresponse()
        return answer.status, answer.read() if route.content_type == JSON else b""
    finally:
        connection.close()


def everything(ids: Mapping[str, str]) -> dict[str, Any]:
    """Make a body that every route finds what it wants in."""
    text = f"We decided to keep {CANARY}-content in cents."
    return {
        "projectId": ids["projects"],
        "sourceType": "api",
        "eventType": f"{CANARY}-event",
        "occurredAtEpoch": 1,
        "payload": {"text": text, f"{CANARY}-name": [text]},
        "metadata": {f"{CANARY}-metadata": text},
        "contentSessionId": f"{CANARY}-session",
        "externalSessionId": f"{CANARY}-external",
        "content": text,
        "title": text,
        "narrative": text,
        "query": f"{CANARY}-search",
        "ids": [ids["observations"]],
        "key": f"git:example.org/{CANARY}-key",
        "name": f"{CANARY}-name",
        "scopes": ["observations:read"],
        "session_id": f"{CANARY}-hook",
        "prompt_id": f"{CANARY}-turn",
        "cwd": f"/home/{CANARY}-cwd",
        "prompt": text,
        "tool_name": "Bash",
        "tool_input": {"command": f"echo {CANARY}-command"},
        "tool_response": {"stdout": f"{CANARY}-output"},
        "last_assistant_message": text,
    }


def drive(server: Server, key: str, ids: Mapping[str, str]) -> dict[str, int]:
    """Ask every route for what it does; returns the statuses."""
    statuses: dict[str, int] = {}
    for route in sorted(ROUTES, key=lambda route: route.method == "DELETE"):
        noun = f"{route.path}/".split("/")[2]
        path = concrete_path(route, id=ids.get(noun, "x")) + _QUERIES.get(route.path, "").format(**ids)
        body = everything(ids)
        if noun in _MEMBERS and (route.method == "PATCH" or route.path.endswith(noun)):
            body = {name: body[name] for name in _MEMBERS[noun] if route.method == "POST" or name != "projectId"}
        sent = [body] if route.path == "/v1/events/batch" else body
        data = json.dumps(sent).encode() if route.shape().body is not None else None
        statuses[f"{route.method} {route.path}"], _ = ask(server, route, path, data, {"X-Api-Key": key})
    return statuses


def pester(server: Server, key: str) -> None:
    """Ask every route for what it refuses."""
    for route in ROUTES:
        path = concrete_path(route)
        for query in (f"?{CANARY}-query=1", f"?key={CANARY}-query&token={key}", f"?projectId={CANARY}&limit={CANARY}"):
            ask(server, route, path + query, headers={"X-Api-Key": key})
        ask(server, route, f"{path}/{CANARY}-path/%00/%ff", headers={"X-Api-Key": key})
        for headers in _HEADERS:
            ask(server, route, path, headers={"X-Api-Key": key, **headers})
        for headers in _STRANGE:
            ask(server, route, path, headers={"X-Api-Key": "", **headers})
        if route.shape().body is not None:
            for body in _BROKEN:
                assert ask(server, route, path, body, {"X-Api-Key": key})[0] < 500
    (large,) = (route for route in ROUTES if route.path == "/v1/search")
    assert ask(server, large, "/v1/search", CANARY.encode() * 600_000, {"X-Api-Key": key})[0] == 413
    for raw in (f"{CANARY}-line\r\n\r\n", f"GET /{CANARY} HTTP/1.1\r\n{CANARY}-header\r\n\r\n"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.connect()
        connection.sock.sendall(raw.encode())
        assert connection.sock.recv(65536).startswith(b"HTTP/1.0 400")
        connection.close()


def make_ids(server: Server, key: str) -> dict[str, str]:
    """Make an object of each kind; returns their ids by the noun of their routes."""

    def make(path: str, body: dict[str, object]) -> Any:
        answer = server.ask("POST", path, body, Authorization=f"Bearer {key}")
        assert answer.status in {200, 201}, answer
        return answer.body

    project = make("/v1/projects", {"key": "git:example.org/ids", "name": "ids"})["project"]
    scope = {"projectId": project["id"]}
    note = {"sourceType": "api", "eventType": "note", "occurredAtEpoch": 1, "payload": {"text": "We decided to."}}
    recorded = make("/v1/events?wait=true", {**scope, **note})
    (observation,) = make("/v1/memories", {**scope, "content": "A memory."}).values()
    (deleted,) = make("/v1/memories", {**scope, "content": "Another memory."}).values()
    return {
        "projects": project["id"],
        "teams": project["teamId"],
        "events": recorded["event"]["id"],
        "jobs": recorded["generationJob"]["id"],
        "sessions": make("/v1/sessions/start", {**scope, "externalSessionId": "s"})["session"]["id"],
        "observations": observation["id"],
        "memories": deleted["id"],
        "keys": make("/v1/keys", {"name": "n", "scopes": ["events:write"]})["id"],
    }


def written(folder: Path) -> bytes:
    """Read everything that a server leaves behind but the key, which is there to be read."""
    kept = [path for path in folder.rglob("*") if path.is_file() and path.name != ".server-beta.key"]
    assert folder / "logs" / "server-beta.log" in kept
    return b"".join(path.read_bytes() for path in kept)


async def test_nothing_that_is_sent_is_written_to_a_log(data_dir: Path, database: str, redis: str) -> None:
    settings = {
        "CLAUDE_MEM_SERVER_DATABASE_URL": database,
        "CLAUDE_MEM_REDIS_URL": redis.replace("redis://", f"redis://{CANARY}-user:{CANARY}-redis@"),
        "CLAUDE_MEM_LOG_LEVEL": "debug",
    }
    # A Redis without accounts refuses a name and a password that it does not know.
    refused = command(data_dir, "start", **settings)
    assert refused.returncode == 1
    settings["CLAUDE_MEM_REDIS_URL"] = redis
    with running_server(data_dir, **settings) as server:
        created = command(
            data_dir, "api-key", "create", "--name", f"{CANARY}-key", "--scopes", "*", "--json", **settings
        )
        keys = [server.key, json.loads(created.stdout)["key"]]
        for name, body in turn(f"{CANARY}-session", f"{CANARY}-turn", f"src/{CANARY}.py"):
            assert server.hook(name, body).status == 201
        pester(server, keys[1])
        statuses = drive(server, keys[1], make_ids(server, keys[1]))
        # The job is completed.
        refused_rightly = {"POST /v1/jobs/{id}/retry": 409, "POST /v1/jobs/{id}/cancel": 409}
        assert {route: status for route, status in statuses.items() if status >= 400} == refused_rightly

        ids = make_ids(server, keys[1])
        connection = await asyncpg.connect(database)
        # First the database quotes what it refuses, then it has nothing to look into.
        await connection.execute(_QUOTING)
        for table in _TABLES:
            await connection.execute(f"CREATE TRIGGER q BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION quote()")
        assert sum(status == 500 for status in drive(server, keys[1], ids).values()) > 5
        for table in _TABLES:
            await connection.execute(f"ALTER TABLE {table} RENAME TO {table}_{CANARY}_gone")
        await connection.close()
        failed = drive(server, keys[1], ids)
        assert sum(status == 500 for status in failed.values()) > len(ROUTES) / 2
        told = [command(data_dir, name, "--json", **settings) for name in ("status", "doctor")]
    left = written(data_dir) + b"".join(f"{one.stdout}{one.stderr}".encode() for one in (refused, *told))
    assert b"http_request_failed" in left
    assert FOUND.findall(left) == []
    for secret in (*keys, str(urlsplit(database).password)):
        assert secret.encode() not in left


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://{CANARY}-user:{CANARY}-password@127.0.0.1:1/{CANARY}-name",
        f"postgresql://u:{CANARY}-password@no.such.host.invalid/x",
        f"postgresql://u:{CANARY}-password@[::1/x",
        f"postgresql://u:{CANARY}-password@127.0.0.1:port/x",
        f"postgresql://u:{CANARY}-password@127.0.0.1:1/x?sslmode={CANARY}-mode",
        f"postgresql://u:{CANARY}-password@127.0.0.1:1/x?{CANARY}-option=1",
        f"mysql://u:{CANARY}-password@127.0.0.1/x",
        f"host=127.0.0.1 port=1 password={CANARY}-password",
        f"{CANARY}-password",
    ],
)
def test_no_secret_of_an_address_is_told_when_it_cannot_be_used(data_dir: Path, dsn: str) -> None:
    settings = {"CLAUDE_MEM_SERVER_DATABASE_URL": dsn, "CLAUDE_MEM_LOG_LEVEL": "debug"}
    told = [command(data_dir, *arguments, **settings) for arguments in (["start"], ["status", "--json"], ["doctor"])]
    assert told[0].returncode == 1
    assert "CLAUDE_MEM_SERVER_DATABASE_URL" in told[0].stderr
    left = written(data_dir) + b"".join(f"{one.stdout}{one.stderr}".encode() for one in told)
    assert [found for found in FOUND.findall(left) if b"password" in found] == []
    assert b"Traceback" not in left
    assert not processes_of(data_dir)


def test_no_password_is_told_by_a_database_that_refuses_it(data_dir: Path, database: str) -> None:
    settings = {
        "CLAUDE_MEM_SERVER_DATABASE_URL": database.replace(str(urlsplit(database).password), f"{CANARY}-password")
    }
    told = [command(data_dir, *arguments, **settings) for arguments in (["start"], ["doctor", "--json"])]
    assert told[0].returncode == 1
    assert FOUND.findall(written(data_dir) + b"".join(f"{one.stdout}{one.stderr}".encode() for one in told)) == []
