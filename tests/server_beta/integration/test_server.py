"""The whole server: on embedded engines, on external ones, and refusing to start on ones that are not there."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.embedded_postgres import postmaster_pid
from tests.support.processes import processes_of, running_python, watched_data_dir
from tests.support.server import Server, command, running_server, turn
from tests.support.waiting import eventually_sync


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a server on its embedded engines."""
    with watched_data_dir() as folder, running_server(folder) as running:
        yield running


def _learn(server: Server, session: str, prompt: str = "p-1") -> list[dict[str, object]]:
    """Send a turn and wait for its session's summary, which is made last."""
    for name, body in turn(session, prompt):
        assert server.hook(name, body).status == 201
    return eventually_sync(
        lambda: [one for one in server.observations("summary") if "cart.py" in one["content"]], within=15
    )


def test_the_local_key_is_private_and_works_for_every_route_of_hooks_and_clients(server: Server) -> None:
    assert server.data_dir.joinpath(".server-beta.key").stat().st_mode & 0o777 == 0o600
    project = server.ask("POST", "/v1/projects", {"key": "git:example.org/all", "name": "all"}).body["project"]
    started = server.ask("POST", "/v1/sessions/start", {"projectId": project["id"], "externalSessionId": "x"})
    assert started.status == 201
    session = started.body["session"]
    event = {
        "projectId": project["id"],
        "sourceType": "api",
        "eventType": "note",
        "occurredAtEpoch": 1_700_000_000_000,
        "serverSessionId": session["id"],
        "payload": {"text": "We decided to keep prices in cents."},
    }
    posted = server.ask("POST", "/v1/events?wait=true", event)
    assert posted.status == 201
    job = posted.body["generationJob"]
    assert job["status"] == "completed"
    for method, path, body in (
        ("POST", "/v1/events/batch", [event, {**event, "occurredAtEpoch": 1_700_000_000_001}]),
        ("GET", f"/v1/events/{posted.body['event']['id']}", None),
        ("GET", f"/v1/events/{posted.body['event']['id']}/observations", None),
        ("GET", f"/v1/sessions/{session['id']}", None),
        ("POST", f"/v1/sessions/{session['id']}/end", {}),
        ("GET", f"/v1/observations?projectId={project['id']}", None),
        ("GET", f"/v1/context/recent?projectId={project['id']}", None),
        ("POST", "/v1/search", {"query": "cents"}),
        ("GET", f"/v1/jobs/{job['id']}", None),
        ("GET", "/v1/projects", None),
    ):
        answer = server.ask(method, path, body)
        assert answer.status in {200, 201}, (method, path, answer)


def test_a_turn_is_learned_and_the_next_session_starts_with_it(server: Server) -> None:
    _learn(server, "first")
    answer = server.hook("SessionStart", {"session_id": "second", "cwd": "/home/dev/shop", "source": "startup"})
    context = answer.body["hookSpecificOutput"]["additionalContext"]
    assert "cart.py" in context
    assert "round half up" in context
    (found,) = server.ask("POST", "/v1/search", {"query": "why is the total rounded?"}).body["observations"][:1]
    assert "total" in found["content"]


def test_another_project_sees_nothing_of_it(server: Server) -> None:
    _learn(server, "third")
    answer = server.hook(
        "SessionStart",
        {"session_id": "elsewhere", "cwd": "/home/dev/other", "source": "startup"},
        X_Claude_Mem_Project="git%3Aexample.org%2Fother",
    )
    assert answer.body == {}


@pytest.mark.parametrize(("key", "status"), [("", 401), ("cmem_wrong", 403), ("cmem_" + "0" * 49, 403)])
def test_without_a_good_key_there_is_nothing(server: Server, key: str, status: int) -> None:
    answer = server.ask("GET", "/v1/observations", Authorization=f"Bearer {key}" if key else "")
    assert answer.status == status
    assert set(answer.body) >= {"type", "title", "status", "error", "message"}


def test_bad_input_gets_a_clear_error_and_loses_nothing(server: Server) -> None:
    project = server.ask("POST", "/v1/projects", {"key": "git:example.org/bad", "name": "bad"}).body["project"]["id"]
    event = {"projectId": project, "sourceType": "api", "eventType": "note", "occurredAtEpoch": 1}
    assert server.ask("POST", "/v1/events", b'{"broken').status == 400
    assert server.ask("POST", "/v1/events", b'{"a":"' + b"x" * (5 * 1024 * 1024) + b'"}').status == 413
    assert server.ask("POST", "/v1/events/batch", [event] * 501).status == 400
    assert server.ask("POST", "/v1/events/batch", []).status == 400
    for text, kept in ((r"a\u0000b", "a\ufffdb"), (r"c\ud800d", "c\ufffdd")):
        raw = json.dumps({**event, "payload": {"text": "@"}}).replace("@", text).encode()
        posted = server.ask("POST", "/v1/events?generate=false", raw)
        assert posted.status == 201
        stored = server.ask("GET", f"/v1/events/{posted.body['event']['id']}").body["event"]
        assert stored["payload"]["text"] == kept


def test_a_project_s_name_is_protected_like_everything_else(server: Server) -> None:
    named = {"key": "git:example.org/named", "name": "named <private>canary-7f3a</private>"}
    assert "canary" not in server.ask("POST", "/v1/projects", named).body["project"]["name"]


def test_info_shows_what_the_server_is_made_of(server: Server) -> None:
    info = server.ask("GET", "/v1/info").body
    assert info["postgres"] == {
        "initialized": True,
        "schemaVersion": info["postgres"]["schemaVersion"],
        "embedded": True,
    }
    assert {name: boundary["status"] for name, boundary in info["boundaries"].items()} == {
        "queueManager": "active",
        "generationWorkerManager": "active",
        "providerRegistry": "active",
        "eventBroadcaster": "active",
    }
    assert all(boundary["reason"] for boundary in info["boundaries"].values())
    assert [lane["kind"] for lane in info["queueLanes"]] == ["event", "event-batch", "summary", "reindex"]


def test_no_payload_and_no_key_reaches_a_log(server: Server) -> None:
    body = {"session_id": "canary", "prompt_id": "c", "cwd": "/x", "prompt": "canary-7f3a in a prompt"}
    assert server.hook("UserPromptSubmit", body).status == 201
    assert server.ask("POST", "/v1/events", b'{"projectId": "canary-7f3a').status == 400
    logs = b"".join(path.read_bytes() for path in server.data_dir.glob("logs/*"))
    assert b"answered a request" in logs
    assert b"canary-7f3a" not in logs
    assert server.key.encode() not in logs


def test_on_redis_and_an_external_postgres(data_dir: Path, database: str, redis: str) -> None:
    settings = {
        "CLAUDE_MEM_SERVER_DATABASE_URL": database,
        "CLAUDE_MEM_QUEUE_ENGINE": "bullmq",
        "CLAUDE_MEM_REDIS_URL": redis,
    }
    with running_server(data_dir, **settings) as server:
        _learn(server, "first")
        info = server.ask("GET", "/v1/info").body
        assert info["boundaries"]["queueManager"]["details"] == {"engine": "bullmq", "backend": "redis"}
        assert info["postgres"]["embedded"] is False
        assert not data_dir.joinpath("postgres").exists()


def test_generation_can_be_off(data_dir: Path, database: str) -> None:
    with running_server(
        data_dir, CLAUDE_MEM_SERVER_DATABASE_URL=database, CLAUDE_MEM_GENERATION_DISABLED="1"
    ) as server:
        for name, body in turn():
            assert server.hook(name, body).status == 201
        boundary = server.ask("GET", "/v1/info").body["boundaries"]["generationWorkerManager"]
        assert boundary["status"] == "disabled"
        lanes = eventually_sync(
            lambda: [lane for lane in server.ask("GET", "/v1/info").body["queueLanes"] if lane["waiting"]]
        )
        assert [lane["kind"] for lane in lanes] == ["event-batch"]
        assert server.observations() == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"CLAUDE_MEM_SERVER_DATABASE_URL": "postgresql://u:canary@127.0.0.1:1/x"}, "CLAUDE_MEM_SERVER_DATABASE_URL"),
        ({"CLAUDE_MEM_SERVER_DATABASE_URL": "rubbish"}, "CLAUDE_MEM_SERVER_DATABASE_URL"),
        ({"CLAUDE_MEM_SERVER_PORT": "many"}, "CLAUDE_MEM_SERVER_PORT"),
        ({"CLAUDE_MEM_QUEUE_ENGINE": "rabbit"}, "CLAUDE_MEM_QUEUE_ENGINE"),
        ({"CLAUDE_MEM_AUTH_MODE": "none"}, "CLAUDE_MEM_AUTH_MODE"),
        ({"CLAUDE_MEM_AUTH_MODE": "local-dev", "CLAUDE_MEM_SERVER_HOST": "0.0.0.0"}, "CLAUDE_MEM_AUTH_MODE"),
        ({"CLAUDE_MEM_PROVIDER": "oracle"}, "CLAUDE_MEM_PROVIDER"),
    ],
)
def test_what_cannot_be_used_fails_the_start(data_dir: Path, settings: dict[str, str], said: str) -> None:
    failed = command(data_dir, "start", **settings)
    assert failed.returncode == 1
    assert said in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert "canary" not in failed.stderr
    assert not processes_of(data_dir)
    assert not data_dir.joinpath("postgres").exists()


def test_a_redis_that_does_not_answer_fails_the_start(data_dir: Path, database: str) -> None:
    failed = command(
        data_dir,
        "start",
        CLAUDE_MEM_SERVER_DATABASE_URL=database,
        CLAUDE_MEM_QUEUE_ENGINE="bullmq",
        CLAUDE_MEM_REDIS_URL="redis://:canary@127.0.0.1:1/0",
    )
    assert failed.returncode == 1
    assert "CLAUDE_MEM_REDIS_URL" in failed.stderr
    assert "canary" not in failed.stderr
    assert not processes_of(data_dir)


def test_spooled_events_are_delivered_once_and_the_context_is_owed(data_dir: Path, database: str) -> None:
    with running_server(data_dir, CLAUDE_MEM_SERVER_DATABASE_URL=database) as server:
        _learn(server, "first")
    spool = data_dir / "spool" / "server-beta"
    spool.mkdir(parents=True)
    start = {"session_id": "cold", "cwd": "/home/dev/shop", "source": "startup"}
    _spool(spool, 1, "SessionStart", start)
    _spool(spool, 2, "Rubbish", {"session_id": 5})
    (spool / "000000000000003-x.http").write_bytes(b"not a request")
    with running_server(data_dir, CLAUDE_MEM_SERVER_DATABASE_URL=database) as server:
        eventually_sync(lambda: not list(spool.glob("*.http")))
        prompt = {"session_id": "cold", "prompt_id": "p-9", "cwd": "/home/dev/shop", "prompt": "Go on"}
        first = server.hook("UserPromptSubmit", prompt)
        assert "cart.py" in first.body["hookSpecificOutput"]["additionalContext"]
        assert first.body["hookSpecificOutput"]["hookEventName"] == "UserPromptSubmit"
        assert server.hook("UserPromptSubmit", {**prompt, "prompt_id": "p-10"}).body == {}
        spooled = server.ask("GET", "/api/health").body["spool"]
        assert (spooled["pending"], spooled["rejected"]) == (0, 1)


def test_an_event_that_was_delivered_and_spooled_is_stored_once(data_dir: Path, database: str) -> None:
    spool = data_dir / "spool" / "server-beta"
    spool.mkdir(parents=True)
    with running_server(data_dir, CLAUDE_MEM_SERVER_DATABASE_URL=database) as server:
        event_id = "0190b0f0-0000-7000-8000-000000000001"
        body = turn()[0][1]
        assert server.hook("UserPromptSubmit", body, X_Claude_Mem_Event_Id=event_id).status == 201
        _spool(spool, 5, "UserPromptSubmit", body, event_id)
        eventually_sync(lambda: not list(spool.glob("*.http")))
        assert server.ask("GET", "/api/health").body["eventsToday"] == 1
        assert server.hook("UserPromptSubmit", body, X_Claude_Mem_Event_Id=event_id).status == 200


def test_a_caller_that_waits_is_answered_when_the_server_stops(data_dir: Path, database: str) -> None:
    settings = {"CLAUDE_MEM_SERVER_DATABASE_URL": database, "CLAUDE_MEM_GENERATION_DISABLED": "1"}
    with running_server(data_dir, **settings) as server, ThreadPoolExecutor() as threads:
        project = server.ask("POST", "/v1/projects", {"key": "git:example.org/w", "name": "w"}).body["project"]["id"]
        event = {"projectId": project, "sourceType": "api", "eventType": "note", "occurredAtEpoch": 1}
        waiting = threads.submit(server.ask, "POST", "/v1/events?wait=true", event)
        eventually_sync(lambda: server.ask("GET", "/api/health").body["eventsToday"] == 1)
        began = time.monotonic()
        assert command(data_dir, "stop", **settings).returncode == 0
        assert time.monotonic() - began < 6
        answer = waiting.result()
        assert (answer.status, answer.body["waitTimedOut"]) == (201, True)


# Says, at the moment when it is ready, what the collector of garbage looks at and how often.
_READY = """
import asyncio, gc, os
from server_beta.bootstrap import serve
from server_beta.settings import Settings
stop = asyncio.Event()
def ready(host, port):
    print(gc.get_freeze_count(), *gc.get_threshold())
    stop.set()
asyncio.run(serve(Settings.from_env(os.environ), stop, ready))
"""


def test_a_ready_server_seldom_looks_for_garbage(data_dir: Path, database: str) -> None:
    settings = {"CLAUDE_MEM_SERVER_DATABASE_URL": database, "CLAUDE_MEM_SERVER_PORT": "0"}
    with running_python(["-c", _READY], data_dir, settings) as program:
        assert program.stdout is not None
        frozen, often, *_ = map(int, program.stdout.readline().split())
        assert frozen > 20_000
        assert often >= 50_000
        assert program.wait(15) == 0


def test_a_server_whose_postgres_is_killed_says_so_and_recovers_by_itself() -> None:
    with watched_data_dir() as folder, running_server(folder) as server:
        _learn(server, "first")
        killed = postmaster_pid(folder)
        os.kill(killed, signal.SIGKILL)
        eventually_sync(lambda: server.ask("GET", "/api/health").status == 503, within=2)
        eventually_sync(lambda: server.ask("GET", "/api/health").status == 200, within=30)
        assert postmaster_pid(folder) != killed
        _learn(server, "second")


def test_a_server_whose_postgres_does_not_come_back_ends_and_says_why() -> None:
    with watched_data_dir() as folder:
        started = command(folder, "start", "--json")
        assert started.returncode == 0, started.stderr
        folder.joinpath("postgres", "cluster", "PG_VERSION").write_text("3\n")
        os.kill(postmaster_pid(folder), signal.SIGKILL)
        eventually_sync(lambda: not processes_of(folder), within=30)
        assert "was made by Postgres 3" in folder.joinpath("logs", "server-beta.log").read_text("utf-8")
        assert command(folder, "status").returncode == 3


def _spool(folder: Path, at: int, event: str, body: Mapping[str, object], event_id: str | None = None) -> None:
    identity = event_id or f"0190b0f0-0000-7000-8000-{at:012d}"
    head = (
        f"POST /v1/hooks/claude-code/{event} HTTP/1.1\r\n"
        f"X-Claude-Mem-Event-Id: {identity}\r\n"
        f"X-Claude-Mem-Occurred-At: {1_700_000_000_000 + at}\r\n"
        "X-Claude-Mem-Project: git%3Aexample.org%2Fshop\r\n\r\n"
    )
    temporary = folder / f".tmp-{at}"
    temporary.write_bytes(head.encode() + json.dumps(body).encode())
    temporary.replace(folder / f"{at:015d}-{identity}.http")
