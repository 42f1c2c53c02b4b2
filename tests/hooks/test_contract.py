"""Exit 0, one JSON line or nothing, one deadline, whatever runtime, client and disk do (`client.run` checks it)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.hooks.client import PATIENCE_SECONDS, HookClient, Spooled, check_contract
from tests.hooks.stub_runtime import Behaviour, StubRuntime, answers, drips, hangs, resets, sends

EVENTS = (
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure",
    "Stop", "SubagentStop", "PreCompact", "PostCompact", "SessionEnd",
)  # fmt: skip
CONTEXT = b'{"hookSpecificOutput":{"hookEventName":"SessionStart","additionalContext":"we fixed it"}}'
OK = b"HTTP/1.1 200 OK\r\n"
SEEN = {"hookEventName": "PreToolUse", "additionalContext": "read before"}


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_reaches_a_runtime_that_is_up(client: HookClient, event: str) -> None:
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        assert client.run(event).out == b""
    (request,) = runtime.requests
    assert request.line == f"POST /v1/hooks/claude-code/{event} HTTP/1.1"
    assert json.loads(request.body) == client.payload(event)
    assert request.headers["authorization"] == "Bearer secret-token"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["connection"] == "close"
    assert len(request.headers["x-claude-mem-event-id"]) == 36
    assert request.headers["x-claude-mem-event-id"][14] == "7"
    assert request.headers["x-claude-mem-occurred-at"].isdigit()
    assert "x-claude-mem-spooled" not in request.headers
    assert client.spooled() == []


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_survives_a_runtime_that_is_down(client: HookClient, event: str) -> None:
    client.run(event)
    assert len(client.spooled()) == (0 if event == "PreToolUse" else 1)


@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 401, 403, 404, 413, 422, 429, 500, 503])
def test_only_what_was_taken_or_is_bad_itself_does_not_wait(client: HookClient, status: int) -> None:
    with StubRuntime(answers(status, b"" if status == 204 else b"{}", b"Location: /elsewhere")) as runtime:
        client.listen(runtime.port)
        assert client.run("PostToolUse").out == b""
    assert len(runtime.requests) == 1
    assert len(client.spooled()) == (0 if status in (200, 201, 204, 400, 413, 422) else 1)
    assert bool(client.log()) == (status not in (200, 201, 204))


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(hangs, id="hung"),
        pytest.param(drips, id="drip-feeding"),
        pytest.param(resets, id="reset"),
        pytest.param(sends(b""), id="closed"),
        pytest.param(sends(b"\x00\xff\xfe" * 1000), id="garbage"),
        pytest.param(sends(b"HTTP/1.1 20"), id="half a status"),
        pytest.param(sends(b"HTTP/1.1 abc OK\r\n\r\n"), id="no status"),
        pytest.param(sends(b"SSH-2.0-OpenSSH\r\n\r\n"), id="another protocol"),
        pytest.param(sends(b"x" * 200_000), id="endless head"),
        pytest.param(sends(OK + b"Content-Length: many\r\n\r\n{}"), id="length is no number"),
        pytest.param(sends(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"), id="bad chunk"),
        pytest.param(sends(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n"), id="negative chunk"),
        pytest.param(sends(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n{}"), id="huge chunk"),
        pytest.param(answers(200, b"{}", length=500), id="cut short"),
        pytest.param(answers(200, b" " * 2_000_000), id="huge"),
        pytest.param(answers(200, b"", length=10**30), id="huge promise"),
        pytest.param(answers(200, b"<html>hello</html>"), id="not json"),
        pytest.param(answers(200, b"[1]"), id="array"),
        pytest.param(answers(200, b'{"a":NaN}'), id="not quite json"),
        pytest.param(answers(200, b"{}\n{}"), id="two objects"),
        pytest.param(answers(200, b"[" * 200_000), id="deep"),
        pytest.param(answers(200, b'{"a":"\xff"}'), id="not utf-8"),
    ],
)
@pytest.mark.parametrize(("event", "limit"), [("PostToolUse", 1.5), ("SessionStart", 4.0)])
def test_what_does_not_answer_like_the_runtime_has_not_stored_the_event(
    punctual_client: HookClient, behaviour: Behaviour, event: str, limit: float
) -> None:
    with StubRuntime(behaviour) as runtime:
        punctual_client.listen(runtime.port)
        run = punctual_client.run(event)
    assert run.seconds < limit
    assert len(punctual_client.spooled()) == 1
    assert set(run.answer) <= {"systemMessage"}
    assert not (punctual_client.data / "launches").exists()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers(200, CONTEXT), id="length"),
        pytest.param(answers(201, CONTEXT.replace(b",", b",\r\n\t")), id="several lines"),
        pytest.param(sends(OK + b"\r\n" + CONTEXT), id="until close"),
        pytest.param(sends(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n" + CONTEXT), id="continue"),
        pytest.param(
            sends(
                OK
                + b"transfer-encoding: Chunked\r\n\r\n%x;ext=1\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n"
                % (7, CONTEXT[:7], len(CONTEXT) - 7, CONTEXT[7:])
            ),
            id="chunks",
        ),
    ],
)
def test_the_context_is_printed_as_one_line(client: HookClient, answer: Behaviour) -> None:
    with StubRuntime(answer) as runtime:
        client.listen(runtime.port)
        assert client.run("SessionStart").answer == json.loads(CONTEXT)
    assert client.spooled() == []


def test_line_separators_of_unicode_stay_inside_the_line(client: HookClient) -> None:
    text = "a\u2028b\u2029c\x85d"
    output = {"hookEventName": "SessionStart", "additionalContext": text}
    body = json.dumps({"hookSpecificOutput": output}, ensure_ascii=False).encode()
    with StubRuntime(answers(200, body)) as runtime:
        client.listen(runtime.port)
        assert client.run("SessionStart").answer["hookSpecificOutput"] == output


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        ("PreToolUse", {"hookSpecificOutput": {**SEEN, "permissionDecision": "allow"}}),
        ("PreToolUse", {"hookSpecificOutput": {**SEEN, "updatedInput": {}}}),
        ("PreToolUse", {"hookSpecificOutput": {**SEEN, "additionalContext": 5}}),
        ("PreToolUse", {"hookSpecificOutput": SEEN, "decision": "approve"}),
        ("PreToolUse", {"hookSpecificOutput": {"hookEventName": "SessionStart", "additionalContext": "x"}}),
        ("PreToolUse", {"hookSpecificOutput": "x"}),
        ("UserPromptSubmit", {"decision": "block", "reason": "no"}),
        ("UserPromptSubmit", {"continue": False}),
        ("UserPromptSubmit", {"systemMessage": 5}),
        ("Stop", {"hookSpecificOutput": {"hookEventName": "Stop", "additionalContext": "x"}}),
        ("SessionEnd", {"systemMessage": "x"}),
        ("PostToolUse", {"id": "stored"}),
    ],
)
def test_an_answer_that_could_steer_the_client_is_not_printed(
    client: HookClient, event: str, answer: dict[str, object]
) -> None:
    with StubRuntime(answers(200, json.dumps(answer).encode())) as runtime:
        client.listen(runtime.port)
        assert client.run(event).out == b""
    assert client.spooled() == []
    assert "not printed" in client.log()


@pytest.mark.parametrize("event", ["UserPromptSubmit", "PreToolUse"])
def test_context_and_message_pass(client: HookClient, event: str) -> None:
    answer = {
        "systemMessage": "seen before",
        "suppressOutput": True,
        "hookSpecificOutput": {"hookEventName": event, "additionalContext": "three times"},
    }
    with StubRuntime(answers(200, json.dumps(answer).encode())) as runtime:
        client.listen(runtime.port)
        assert client.run(event).answer == answer


@pytest.mark.parametrize(
    "stdin",
    [b"", b" \n", b"not json", b"{", b"[]", b'"text"', b"null", b"{}{}", b"\x00\xff" * 99, b"[" * 99_999, b'{"a":NaN}'],
)
@pytest.mark.parametrize("event", ["PostToolUse", "SessionStart", "UserPromptSubmit"])
def test_garbage_on_stdin_is_nobodys_event(client: HookClient, event: str, stdin: bytes) -> None:
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        assert client.run(event, stdin).out == b""
    assert runtime.requests == []
    assert client.spooled() == []
    assert "not one JSON object" in client.log()


@pytest.mark.parametrize("payload", [b"{}", b'{"session_id":5,"cwd":[],"tool_name":{},"prompt":null}'])
def test_an_event_of_odd_types_is_the_runtimes_to_judge(client: HookClient, payload: bytes) -> None:
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        client.run("UserPromptSubmit", payload)
    assert [request.body for request in runtime.requests] == [payload]


def test_odd_text_passes_unchanged(client: HookClient) -> None:
    payload = b'\xef\xbb\xbf{"session_id":"s","prompt":"\\u0000 \\ud800 \xe6\xbc\xa2","n":1%s.5e999}' % (b"0" * 5000)
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        client.run("UserPromptSubmit", payload)
    assert [request.body for request in runtime.requests] == [payload[3:]]


def test_the_client_may_leave_stdin_open(punctual_client: HookClient) -> None:
    with StubRuntime() as runtime:
        punctual_client.listen(runtime.port)
        with punctual_client.start("Stop") as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(punctual_client.payload("Stop")).encode())
            process.stdin.flush()
            code = process.wait(PATIENCE_SECONDS)
            assert process.stdout is not None
            assert process.stderr is not None
            check_contract(code, process.stdout.read(), process.stderr.read())
    (path,) = punctual_client.spooled()
    assert json.loads(Spooled.read(path).body) == punctual_client.payload("Stop")


def test_a_client_that_says_nothing_is_not_waited_for(punctual_client: HookClient) -> None:
    with punctual_client.start("Stop") as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    assert punctual_client.spooled() == []


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "</dev/full >/dev/full"])
@pytest.mark.parametrize("event", ["PostToolUse", "SessionStart"])
def test_closed_or_broken_standard_files_do_not_matter(client: HookClient, event: str, closed: str) -> None:
    with StubRuntime(answers(200, CONTEXT)) as runtime:
        client.listen(runtime.port)
        line = f'exec "$@" {closed}'
        process = subprocess.run(
            ["/bin/sh", "-c", line, "sh", *client.command(event)],
            input=json.dumps(client.payload(event)).encode(),
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            env=client.environment(),
        )
    check_contract(process.returncode, process.stdout, process.stderr)
    assert len(runtime.requests) == (0 if "<" in closed else 1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_event_under_way_is_spooled_when_the_client_ends_the_hook(client: HookClient, number: int) -> None:
    with StubRuntime(hangs) as runtime:
        client.listen(runtime.port)
        process = client.start("SessionStart")
        with process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(client.payload("SessionStart")).encode())
            process.stdin.close()
            assert runtime.arrived.wait(PATIENCE_SECONDS)
            process.send_signal(number)
            assert process.wait(PATIENCE_SECONDS) == 0
    (path,) = client.spooled()
    spooled = Spooled.read(path)
    assert "ended the hook" in client.log()
    assert spooled.headers["x-claude-mem-event-id"] == runtime.requests[0].headers["x-claude-mem-event-id"]


def test_a_hung_runtime_costs_a_tool_call_no_more_than_the_deadline(punctual_client: HookClient) -> None:
    with StubRuntime(hangs) as runtime:
        punctual_client.listen(runtime.port)
        for event in ("PostToolUse", "PreToolUse", "SessionEnd"):
            assert punctual_client.run(event).seconds < 1.5
        assert punctual_client.run("UserPromptSubmit").seconds < 2.5
        assert punctual_client.run("SessionStart").seconds < 4.0
    assert len(punctual_client.spooled()) == 4


def test_a_runtime_that_does_not_accept_is_like_one_that_does_not_answer(punctual_client: HookClient) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        punctual_client.listen(port)
        blockers = [socket.socket() for _ in range(4)]
        for blocker in blockers:
            blocker.setblocking(False)
            blocker.connect_ex(("127.0.0.1", port))
        assert punctual_client.run("PostToolUse").seconds < 1.5
        for blocker in blockers:
            blocker.close()
    assert len(punctual_client.spooled()) == 1


@pytest.mark.parametrize("event", EVENTS)
def test_no_home_no_settings(client: HookClient, event: str) -> None:
    client.run(
        event, without=("HOME", "CLAUDE_MEM_DATA_DIR", "CLAUDE_PROJECT_DIR", "PATH"), XDG_DATA_HOME=str(client.home)
    )
    assert (client.home / "claude-mem" / "sessions").is_dir()


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("kind", ["no permission", "below a file", "too long"])
def test_a_data_folder_that_cannot_be_written(client: HookClient, event: str, kind: str) -> None:
    folder = client.data
    if kind == "no permission":
        folder.mkdir(mode=0o500)
    elif kind == "below a file":
        folder.write_text("")
        folder /= "deeper"
    else:
        folder /= "x" * 5000
    run = client.run(event, obey_permissions=True, CLAUDE_MEM_DATA_DIR=str(folder))
    assert ("cannot write" in str(run.answer.get("systemMessage"))) == (event == "SessionStart")


def test_a_runtime_is_reached_even_when_nothing_can_be_written(client: HookClient) -> None:
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        client.data.chmod(0o500)
        assert client.run("PostToolUse", obey_permissions=True).out == b""
        client.data.chmod(0o700)
    assert len(runtime.requests) == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"", b"{}" * 2])
def test_corrupt_settings_are_ignored_and_named(client: HookClient, content: bytes) -> None:
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        (client.data / "settings.json").write_bytes(content)
        assert client.run("PostToolUse").out == b""
        assert "settings.json" in str(client.run("SessionStart").answer["systemMessage"])
        assert client.run("SessionStart").out == b""
    assert len(runtime.requests) == 3


def test_settings_may_begin_with_a_byte_order_mark(client: HookClient) -> None:
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        (client.data / "settings.json").write_bytes(b'\xef\xbb\xbf{"CLAUDE_MEM_DISABLED": true}')
        client.run("PostToolUse")
        client.run("PostToolUse", CLAUDE_MEM_DISABLED="0")
    assert len(runtime.requests) == 1


@pytest.mark.parametrize("arguments", [[], ["Nonsense"], [""], ["../../PostToolUse"]])
def test_an_unknown_event_name_does_nothing(client: HookClient, arguments: list[str]) -> None:
    command = [*client.command("")[:-1], *arguments]
    process = subprocess.run(command, input=b"{}", capture_output=True, check=False, env=client.environment())
    check_contract(process.returncode, process.stdout, process.stderr)
    assert not client.data.exists()


def test_an_incomplete_installation_is_not_the_users_trouble(client: HookClient, tmp_path: Path) -> None:
    (tmp_path / "hook.py").write_bytes((client.hooks / "hook.py").read_bytes())
    client.hooks = tmp_path
    assert client.run("PostToolUse").out == b""
