"""Nothing captured is lost: what the spool holds, who may read it, and how large it may grow."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from hooks.capture.spool import store
from tests.hooks.client import SESSION_ID, HookClient, Spooled
from tests.hooks.stub_runtime import StubRuntime, answers

PROJECT_HEADERS = ("x-claude-mem-project", "x-claude-mem-project-name", "x-claude-mem-project-root")


def test_a_spooled_event_is_the_request_without_what_depends_on_the_receiver(client: HookClient) -> None:
    client.run("Stop", {"last_assistant_message": "Grüße 漢"})
    (path,) = client.spooled()
    spooled = Spooled.read(path)
    assert spooled.line == "POST /v1/hooks/claude-code/Stop HTTP/1.1"
    assert json.loads(spooled.body) == client.payload("Stop", last_assistant_message="Grüße 漢")
    assert not spooled.headers.keys() & {"host", "authorization", "content-length", "connection"}
    assert spooled.headers.keys() >= set(PROJECT_HEADERS)
    occurred_at, event_id = spooled.headers["x-claude-mem-occurred-at"], spooled.headers["x-claude-mem-event-id"]
    assert path.name == f"{int(occurred_at):015d}-{event_id}.http"
    assert abs(time.time() * 1000 - int(occurred_at)) < 60_000
    assert event_id.replace("-", "")[:12] == f"{int(occurred_at):012x}"


def test_a_spooled_event_is_on_the_disk_before_it_gets_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spool = tmp_path / "spool" / "worker"
    synced: list[tuple[int, bool]] = []

    def fsync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, (spool / "1.http").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    store(str(tmp_path), "worker", "1.http", b"content", 1 << 20)
    assert synced == [(len(b"content"), False)]
    assert (spool / "1.http").read_bytes() == b"content"


def test_the_first_try_and_the_spool_name_the_same_event(client: HookClient) -> None:
    with StubRuntime(answers(503, b"")) as runtime:
        client.listen(runtime.port)
        client.run("PostToolUse")
    (path,) = client.spooled()
    spooled = Spooled.read(path)
    (request,) = runtime.requests
    same = ("x-claude-mem-event-id", "x-claude-mem-occurred-at", "content-type", *PROJECT_HEADERS)
    assert {name: request.headers[name] for name in same} == spooled.headers
    assert request.body == spooled.body


def test_only_the_owner_reads_what_is_kept(client: HookClient) -> None:
    previous = os.umask(0)
    try:
        client.run("PostToolUse")
    finally:
        os.umask(previous)
    kept = [client.data, *client.data.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in kept if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in kept if path.is_file()} == {0o600}
    assert {"hook.log", SESSION_ID} <= {path.name for path in kept}


def test_the_spool_is_bounded_and_counts_what_it_drops(client: HookClient) -> None:
    client.env["CLAUDE_MEM_SPOOL_MAX_BYTES"] = "8000"
    names = []
    for number in range(20):
        client.run("Stop", {"last_assistant_message": f"{number} " + "x" * 400})
        kept = client.spooled()
        names.append(kept[-1].name)
        assert sum(path.stat().st_size for path in kept) <= 8000
    kept = client.spooled()
    assert [path.name for path in kept] == names[-len(kept) :]
    assert len(kept) > 5
    assert (client.data / "spool/worker/.dropped").read_text() == str(20 - len(kept))


def test_what_the_runtime_took_away_does_not_count(client: HookClient) -> None:
    client.env["CLAUDE_MEM_SPOOL_MAX_BYTES"] = "8000"
    for _ in range(30):
        client.run("Stop", {"last_assistant_message": "x" * 400})
        for path in client.spooled()[:-2]:
            path.unlink()
    assert not (client.data / "spool/worker/.dropped").exists()


def test_a_sum_that_was_lost_or_spoilt_is_counted_again(client: HookClient) -> None:
    client.env["CLAUDE_MEM_SPOOL_MAX_BYTES"] = "8000"
    for content in ("", "rubbish", "-5"):
        client.run("Stop", {"last_assistant_message": "x" * 400})
        (client.data / "spool/worker/.bytes").write_text(content)
    client.run("Stop")
    total = sum(path.stat().st_size for path in client.spooled())
    assert (client.data / "spool/worker/.bytes").read_text() == str(total)


def test_hooks_that_spool_at_once_lose_nothing(client: HookClient) -> None:
    threads = [threading.Thread(target=client.run, args=("PostToolUse", {"tool_use_id": f"t{n}"})) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [json.loads(Spooled.read(path).body)["tool_use_id"] for path in client.spooled()]
    assert sorted(kept) == sorted(f"t{n}" for n in range(12))


def test_leftovers_of_hooks_that_were_killed_go(client: HookClient) -> None:
    folder = client.data / "spool" / "worker"
    folder.mkdir(parents=True)
    old, young = folder / ".tmp-1-old.http", folder / ".tmp-2-young.http"
    for path in (old, young):
        path.write_text("half")
    os.utime(old, (time.time() - 7200,) * 2)
    client.run("Stop")
    assert not old.exists()
    assert young.exists()
    assert len([path for path in client.spooled() if not path.name.startswith(".")]) == 1


def test_the_log_is_bounded(client: HookClient) -> None:
    log = client.data / "logs" / "hook.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * 300_000)
    client.run("Stop", b"garbage")
    assert log.stat().st_size < 1000
    assert (log.parent / "hook.log.1").stat().st_size == 300_000


@pytest.mark.parametrize(
    ("value", "spool"),
    [("worker", "worker"), ("Server-Beta", "server-beta"), ("sqlite", "unrouted"), ("../x", "unrouted")],
)
def test_each_runtime_has_its_own_spool(client: HookClient, value: str, spool: str) -> None:
    client.run("Stop", CLAUDE_MEM_RUNTIME=value)
    assert len(client.spooled(spool)) == 1
    assert [path.name for path in (client.data / "spool").iterdir()] == [spool]


def test_an_event_never_goes_to_the_other_runtime(client: HookClient) -> None:
    with StubRuntime() as worker:
        client.listen(worker.port, "worker")
        for value in ("server-beta", "nonsense"):
            client.run("Stop", CLAUDE_MEM_RUNTIME=value)
    assert worker.requests == []


def test_each_runtime_has_its_own_port_and_key(client: HookClient) -> None:
    with StubRuntime() as worker, StubRuntime() as server:
        client.listen(worker.port, "worker", "key-of-worker")
        client.listen(server.port, "server-beta", "key-of-server")
        client.run("Stop")
        client.run("Stop", CLAUDE_MEM_RUNTIME="server-beta")
        client.run("Stop", CLAUDE_MEM_RUNTIME="server-beta", CLAUDE_MEM_SERVER_API_KEY="key-of-mine")
    assert [request.headers["authorization"] for request in worker.requests] == ["Bearer key-of-worker"]
    assert [request.headers["authorization"] for request in server.requests] == [
        "Bearer key-of-server",
        "Bearer key-of-mine",
    ]


@pytest.mark.parametrize("key", ["a\r\nX-Injected: 1", "a b", "ключ"])
def test_a_key_that_would_change_the_request_is_not_sent(client: HookClient, key: str) -> None:
    with StubRuntime(answers(401, b"{}")) as runtime:
        client.listen(runtime.port, key=key)
        client.run("Stop")
    assert "authorization" not in runtime.requests[0].headers
    assert "x-injected" not in runtime.requests[0].headers


@pytest.mark.parametrize("port", ["", "0", "70000", "abc", "-1", "1\n2"])
def test_a_port_file_that_names_no_port_is_no_runtime(client: HookClient, port: str) -> None:
    client.data.mkdir()
    (client.data / ".worker.port").write_text(port)
    client.run("Stop")
    assert len(client.spooled()) == 1


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "127.0.0.1"])
def test_the_local_runtime_is_reached_by_whatever_name_it_listens_on(client: HookClient, host: str) -> None:
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        client.run("Stop", CLAUDE_MEM_WORKER_HOST=host)
    assert len(runtime.requests) == 1


def test_a_body_above_the_limit_is_shrunk_and_not_lost(client: HookClient) -> None:
    big = "start " + 'é"\x1b' * 2_000_000 + " end"
    fields = {"tool_response": {"stdout": big, "exit": 0, "parts": ["small", big[:900]]}, "tool_use_id": "t1"}
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        client.run("PostToolUse", fields)
    bodies = [request.body for request in runtime.requests] or [Spooled.read(path).body for path in client.spooled()]
    (body,) = bodies
    assert len(body) <= 5 * 1024 * 1024
    stored = json.loads(body)
    stdout = stored["tool_response"].pop("stdout")
    assert stdout.startswith("start é")
    assert stdout.endswith(" end")
    assert "characters cut by claude-mem" in stdout
    assert stored["tool_response"] == {"exit": 0, "parts": ["small", big[:900]]}
    assert stored["tool_use_id"] == "t1"


def test_many_long_strings_are_all_shortened(client: HookClient) -> None:
    client.run("PostToolUse", {"tool_response": [f"{number}" + "x" * 900_000 + f"{number}" for number in range(8)]})
    body = Spooled.read(client.spooled()[0]).body
    assert 2_000_000 < len(body) <= 5 * 1024 * 1024
    for number, text in enumerate(json.loads(body)["tool_response"]):
        assert text.startswith(f"{number}x")
        assert text.endswith(f"x{number}")


def test_a_body_of_countless_small_parts_keeps_its_outline(client: HookClient) -> None:
    client.run("PostToolUse", {"tool_response": ["x" * 20] * 300_000, "tool_use_id": "t1", "ok": True, "none": None})
    body = Spooled.read(client.spooled()[0]).body
    assert len(body) < 100_000
    stored = json.loads(body)
    assert "too large" in stored["tool_response"]
    assert (stored["tool_use_id"], stored["ok"], stored["none"]) == ("t1", True, None)
    assert stored["session_id"] == SESSION_ID


def test_a_body_at_the_limit_is_left_alone(client: HookClient, tmp_path: Path) -> None:
    empty = len(json.dumps(client.payload("Stop", last_assistant_message="")).encode())
    message = "x" * (5 * 1024 * 1024 - empty)
    client.run("Stop", {"last_assistant_message": message})
    assert json.loads(Spooled.read(client.spooled()[0]).body)["last_assistant_message"] == message
