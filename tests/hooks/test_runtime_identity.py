"""The key goes to the very process that published itself, never to who listens on its port after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.hooks.client import PATIENCE_SECONDS, HookClient
from tests.hooks.stub_runtime import StubRuntime
from worker.cli import identity
from worker.cli.identity import ProcessIdentity

_WAITS = [sys.executable, "-I", "-S", "-c", "import sys; print('up', flush=True); sys.stdin.read()"]


def _started() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(_WAITS, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def _identity_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    token = identity.start_token(process.pid)
    assert token is not None
    return ProcessIdentity(process.pid, token)


@pytest.mark.parametrize("runtime", ["worker", "server-beta"])
def test_who_took_the_port_of_a_killed_runtime_hears_nothing(client: HookClient, runtime: str) -> None:
    client.env["CLAUDE_MEM_RUNTIME"] = runtime
    with _started() as process, StubRuntime() as stranger:
        client.listen(stranger.port, runtime, process=_identity_of(process))
        client.run("PostToolUse")
        assert len(stranger.requests) == 1
        process.kill()
        process.wait(PATIENCE_SECONDS)
        for event in ("SessionStart", "UserPromptSubmit", "PostToolUse", "PreToolUse", "Stop"):
            client.run(event)
    assert len(stranger.requests) == 1
    assert len(client.spooled(runtime)) == 4


def test_a_killed_runtime_that_nobody_has_buried_is_gone(client: HookClient) -> None:
    with _started() as process, StubRuntime() as stranger:
        client.listen(stranger.port, process=_identity_of(process))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        client.run("Stop")
    assert stranger.requests == []
    assert len(client.spooled()) == 1


def test_a_killed_runtime_is_started_anew(client: HookClient) -> None:
    with _started() as process, StubRuntime() as stranger:
        client.listen(stranger.port, process=_identity_of(process))
        process.kill()
        process.wait(PATIENCE_SECONDS)
        notice = str(client.run("SessionStart").answer["systemMessage"])
    assert "starting for the first time" in notice


@pytest.mark.parametrize("change", ["boot", "ticks", "none", "number"])
def test_a_later_process_of_the_same_pid_is_another(client: HookClient, change: str) -> None:
    boot, _, ticks = identity.current().start_token.rpartition(":")
    tokens: dict[str, object] = {
        "boot": f"{boot[::-1]}:{ticks}",
        "ticks": f"{boot}:{ticks}0",
        "none": None,
        "number": 5,
    }
    with StubRuntime() as stranger:
        client.listen(stranger.port)
        published = {"pid": os.getpid(), "port": stranger.port, "startToken": tokens[change]}
        (client.data / ".worker.pid").write_text(json.dumps(published))
        client.run("Stop")
    # Elsewhere nobody can be asked for it in the time of a hook.
    told = 0 if sys.platform == "linux" else 1
    assert (len(stranger.requests), len(client.spooled())) == (told, 1 - told)


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1, 10**30, "self", "1/../self", True, None, [], 1.5])
def test_a_pid_that_names_no_process_is_no_runtime(client: HookClient, pid: object) -> None:
    with StubRuntime() as stranger:
        client.listen(stranger.port)
        published = {"pid": pid, "port": stranger.port, "startToken": identity.current().start_token}
        (client.data / ".worker.pid").write_text(json.dumps(published))
        client.run("Stop")
    assert stranger.requests == []
    assert len(client.spooled()) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"4711", b"\xff\xfe", b'{"pid":1}', b"{}" * 9999])
def test_a_pid_file_that_cannot_be_read_is_no_runtime(client: HookClient, content: bytes) -> None:
    with StubRuntime() as stranger:
        client.listen(stranger.port)
        (client.data / ".worker.pid").write_bytes(content)
        client.run("Stop")
    assert stranger.requests == []
    assert len(client.spooled()) == 1
