"""A server-beta on another machine: the hook reaches it itself, and empties its own spool."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.hooks.client import HookClient, Spooled
from tests.hooks.stub_runtime import StubRuntime, answers, hangs

KEYED = "server-beta-keyed"
# A certificate for "localhost" and its key, valid for a hundred years.
CERTIFICATE = Path(__file__).with_name("localhost.pem")


@pytest.fixture
def remote(client: HookClient) -> HookClient:
    client.env["CLAUDE_MEM_RUNTIME"] = "server-beta"
    client.env["CLAUDE_MEM_SERVER_API_KEY"] = "cm_key"
    # Nothing listens there.
    client.env["CLAUDE_MEM_SERVER_URL"] = "http://127.0.0.1:1"
    return client


def test_the_address_may_have_a_path_and_a_name(remote: HookClient) -> None:
    with StubRuntime() as runtime:
        for url in ("http://127.0.0.1:{}", "HTTP://localhost:{}/memory/", "http://someone@127.0.0.1:{}/?x#y"):
            remote.run("Stop", CLAUDE_MEM_SERVER_URL=url.format(runtime.port))
    assert [request.line.split(" ")[1] for request in runtime.requests] == [
        "/v1/hooks/claude-code/Stop",
        "/memory/v1/hooks/claude-code/Stop",
        "/v1/hooks/claude-code/Stop",
    ]
    assert {request.headers["authorization"] for request in runtime.requests} == {"Bearer cm_key"}


def test_the_local_servers_key_is_not_given_to_a_remote_one(remote: HookClient) -> None:
    with StubRuntime(answers(401, b"{}")) as local, StubRuntime(answers(401, b"{}")) as runtime:
        remote.listen(local.port, "server-beta", "local-key")
        url = f"http://127.0.0.1:{runtime.port}"
        said = remote.run("SessionStart", CLAUDE_MEM_SERVER_URL=url, CLAUDE_MEM_SERVER_API_KEY="").answer[
            "systemMessage"
        ]
    assert "authorization" not in runtime.requests[0].headers
    assert "set CLAUDE_MEM_SERVER_API_KEY" in str(said)
    assert local.requests == []


@pytest.mark.parametrize(
    "url", ["ftp://host", "host:80", "http://", "http://host:port", "http://host:99999", "http://a b"]
)
def test_an_address_that_cannot_be_used_is_named(remote: HookClient, url: str) -> None:
    said = str(remote.run("SessionStart", CLAUDE_MEM_SERVER_URL=url).answer["systemMessage"])
    assert "CLAUDE_MEM_SERVER_URL cannot be used" in said
    assert len(remote.spooled(KEYED)) == 1
    assert not (remote.data / ".server-beta.spawn").exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid", "https://127.0.0.1:1"])
def test_a_server_that_cannot_be_reached_is_not_started_here(remote: HookClient, url: str) -> None:
    said = str(remote.run("SessionStart", CLAUDE_MEM_SERVER_URL=url).answer["systemMessage"])
    assert "cannot be reached" in said or "does not answer" in said
    assert "check CLAUDE_MEM_SERVER_URL" in said
    assert not (remote.data / ".server-beta.spawn").exists()


@pytest.mark.parametrize("event", ["Stop", "SessionStart"])
def test_what_waits_is_delivered_in_order_after_the_event_itself(remote: HookClient, event: str) -> None:
    for number in range(3):
        remote.run("PostToolUse", {"tool_use_id": f"t{number}"})
    waiting = [Spooled.read(path) for path in remote.spooled(KEYED)]
    with StubRuntime() as runtime:
        remote.env["CLAUDE_MEM_SERVER_URL"] = f"http://127.0.0.1:{runtime.port}"
        remote.run("PostToolUse", {"tool_use_id": "now"})
        assert len(runtime.requests) == 1
        remote.run(event)
        while remote.spooled(KEYED):
            remote.run(event)
    delivered = [request for request in runtime.requests if "x-claude-mem-spooled" in request.headers]
    assert runtime.requests[1].event == event
    assert [request.event for request in delivered] == ["PostToolUse"] * 3
    assert [request.body for request in delivered] == [spooled.body for spooled in waiting]
    for request, spooled in zip(delivered, waiting, strict=True):
        assert request.headers.items() >= spooled.headers.items()
        assert request.headers["authorization"] == "Bearer cm_key"


@pytest.mark.parametrize("status", [503, 401, 404])
def test_the_first_failure_ends_the_delivery(remote: HookClient, status: int) -> None:
    for _ in range(3):
        remote.run("PostToolUse")
    with StubRuntime(answers(200, b"{}"), answers(status, b"")) as runtime:
        remote.run("Stop", CLAUDE_MEM_SERVER_URL=f"http://127.0.0.1:{runtime.port}")
    assert len(runtime.requests) == 2
    assert len(remote.spooled(KEYED)) == 3


def test_nothing_is_delivered_when_the_event_itself_was_not(remote: HookClient) -> None:
    remote.run("PostToolUse")
    with StubRuntime(answers(503, b"")) as runtime:
        remote.run("Stop", CLAUDE_MEM_SERVER_URL=f"http://127.0.0.1:{runtime.port}")
    assert len(runtime.requests) == 1
    assert len(remote.spooled(KEYED)) == 2


def test_bad_events_are_put_aside_and_few_are_kept(remote: HookClient) -> None:
    folder = remote.data / "spool" / KEYED
    (folder / "rejected").mkdir(parents=True)
    for number in range(100):
        (folder / "rejected" / f"{number:015d}-x.http").write_text("old")
    remote.run("PostToolUse")
    (folder / f"{1:015d}-garbage.http").write_bytes(b"\x00 nothing like a request")
    (folder / f"{2:015d}-elsewhere.http").write_bytes(b"POST /v1/keys HTTP/1.1\r\n\r\n{}")
    with StubRuntime(answers(200, b"{}"), answers(422, b"")) as runtime:
        remote.run("SessionStart", CLAUDE_MEM_SERVER_URL=f"http://127.0.0.1:{runtime.port}")
    assert len(runtime.requests) == 2
    assert remote.spooled(KEYED) == []
    assert len(list((folder / "rejected").iterdir())) == 100


def test_a_delivery_that_hangs_ends_with_the_deadline(remote: HookClient, hooks_copy: Path) -> None:
    for _ in range(3):
        remote.run("PostToolUse")
    remote.hooks = hooks_copy
    with StubRuntime(answers(200, b"{}"), hangs) as runtime:
        run = remote.run("SessionStart", CLAUDE_MEM_SERVER_URL=f"http://127.0.0.1:{runtime.port}")
    assert run.seconds < 4.0
    assert len(remote.spooled(KEYED)) == 3


def test_a_local_runtime_empties_its_spool_itself(client: HookClient) -> None:
    client.run("PostToolUse")
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        client.run("Stop")
    assert len(runtime.requests) == 1
    assert len(client.spooled()) == 1


def test_what_a_key_of_another_team_could_not_deliver_is_not_left_to_the_local_runtime(client: HookClient) -> None:
    client.env |= {"CLAUDE_MEM_RUNTIME": "server-beta", "CLAUDE_MEM_SERVER_API_KEY": "team-key"}
    client.run("PostToolUse")
    with StubRuntime(answers(403, b"{}"), answers(200, b"{}"), answers(200, b"{}"), answers(200, b"{}")) as runtime:
        client.listen(runtime.port, "server-beta", "local-key")
        client.run("PostToolUse")
        assert (len(client.spooled("server-beta")), len(client.spooled(KEYED))) == (0, 2)
        client.run("Stop")
    assert [request.event for request in runtime.requests] == ["PostToolUse", "Stop", "PostToolUse", "PostToolUse"]
    assert {request.headers["authorization"] for request in runtime.requests} == {"Bearer team-key"}
    assert client.spooled(KEYED) == []


def test_https_is_spoken_and_an_unknown_certificate_refused(remote: HookClient) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with StubRuntime(tls=context) as runtime:
        remote.env["CLAUDE_MEM_SERVER_URL"] = f"https://localhost:{runtime.port}"
        remote.run("SessionStart")
        assert runtime.requests == []
        remote.run("SessionStart", SSL_CERT_FILE=str(CERTIFICATE))
    assert [request.event for request in runtime.requests] == ["SessionStart", "SessionStart"]
    assert ["x-claude-mem-spooled" in request.headers for request in runtime.requests] == [False, True]
    assert remote.spooled(KEYED) == []
