"""The start of a session: it wakes the runtime once, says once what is wrong, and gives unrouted events a runtime."""

from __future__ import annotations

import json
import threading

import pytest

from tests.hooks.client import SESSION_ID, HookClient, Spooled, wait_for
from tests.hooks.stub_runtime import Behaviour, StubRuntime, answers, hangs

CONTEXT = {"hookSpecificOutput": {"hookEventName": "SessionStart", "additionalContext": "we fixed it"}}


def message(client: HookClient, session_id: str = SESSION_ID, **env: str) -> str:
    client.env.update(env)
    answer = client.run("SessionStart", {"session_id": session_id}).answer
    assert set(answer) <= {"systemMessage"}
    return str(answer.get("systemMessage", ""))


def test_the_first_use_of_all(client: HookClient) -> None:
    assert message(client) == "claude-mem is starting for the first time; memory begins with this session."
    wait_for(lambda: launches(client) == ["start"])
    assert Spooled.read(client.spooled()[0]).line == "POST /v1/hooks/claude-code/SessionStart HTTP/1.1"


def test_a_runtime_that_is_down_is_named_once_a_session_with_what_waits(client: HookClient) -> None:
    client.run("Stop", {"session_id": "earlier"})
    said = message(client)
    assert "the worker runtime was not running and is being started" in said
    assert "2 events wait" in said
    assert message(client) == ""
    assert "is not running yet" in message(client, "another")


def test_server_beta_is_started_by_its_own_command(client: HookClient) -> None:
    message(client, CLAUDE_MEM_RUNTIME="server-beta")
    wait_for(lambda: launches(client) == ["server-start"])
    assert len(client.spooled("server-beta")) == 1


def test_many_sessions_at_once_start_the_runtime_once(client: HookClient) -> None:
    client.run("Stop", {"session_id": "earlier"})
    said: list[str] = []
    threads = [threading.Thread(target=lambda n=n: said.append(message(client, f"s{n}"))) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: bool(launches(client)))
    assert sum("is being started" in sentence for sentence in said) == 1
    assert message(client, "later") != ""
    assert launches(client) == ["start"]
    assert len(client.spooled()) == 12


def test_a_start_that_came_to_nothing_is_tried_again(client: HookClient) -> None:
    message(client)
    wait_for(lambda: launches(client) == ["start"])
    mark = client.data / ".worker.spawn"
    mark.write_text(str(int(mark.read_text()) - 31))
    message(client, "another")
    wait_for(lambda: launches(client) == ["start", "start"])


@pytest.mark.parametrize("event", ["UserPromptSubmit", "PostToolUse", "Stop", "SessionEnd", "PreToolUse"])
def test_no_other_event_starts_anything(client: HookClient, event: str) -> None:
    assert client.run(event).out == b""
    assert not (client.data / ".worker.spawn").exists()


def test_a_running_runtime_is_not_started(client: HookClient) -> None:
    with StubRuntime(answers(200, json.dumps(CONTEXT).encode())) as runtime:
        client.listen(runtime.port)
        assert client.run("SessionStart").answer == CONTEXT
    assert not (client.data / ".worker.spawn").exists()


def test_a_stale_port_file_does_not_hinder_the_start(client: HookClient) -> None:
    with StubRuntime() as runtime:
        client.listen(runtime.port)
    message(client)
    wait_for(lambda: launches(client) == ["start"])


def test_the_runtime_inherits_only_what_it_needs(client: HookClient) -> None:
    message(
        client,
        ANTHROPIC_API_KEY="x",
        CLAUDE_CODE_MESSAGING_TOKEN="x",
        PYTHONPATH="x",
        CLAUDE_MEM_WORKER_PORT="0",
        XDG_CACHE_HOME="/x",
        CLAUDE_PLUGIN_DATA="/x",
    )
    wait_for(lambda: launches(client) == ["start"])
    names = set((client.data / "launch-environment").read_text().split())
    expected = {"PATH", "HOME", "CLAUDE_MEM_DATA_DIR", "CLAUDE_MEM_WORKER_PORT", "XDG_CACHE_HOME", "CLAUDE_PLUGIN_DATA"}
    # A C locale that Python turns into UTF-8 leaves a variable of its own.
    assert names - {"LC_CTYPE"} == expected


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (hangs, "does not answer; try `claude-mem restart`"),
        (answers(401, b"{}"), "refused the key (status 401); run `claude-mem restart`"),
        (answers(403, b"{}"), "refused the key (status 403)"),
        (answers(404, b"{}"), "could not store an event (status 404); see `claude-mem doctor`"),
        (answers(500, b"{}"), "could not store an event (status 500)"),
        (answers(400, b"{}"), "refused this session's start (status 400)"),
    ],
)
def test_a_runtime_in_trouble_is_named_and_not_started_again(
    punctual_client: HookClient, behaviour: Behaviour, words: str
) -> None:
    with StubRuntime(behaviour) as runtime:
        punctual_client.listen(runtime.port)
        said = message(punctual_client)
    assert words in said
    assert said.endswith(".")
    assert not (punctual_client.data / ".worker.spawn").exists()


def test_new_trouble_in_the_same_session_is_said(client: HookClient) -> None:
    with StubRuntime(answers(500, b""), answers(500, b""), answers(401, b"")) as runtime:
        client.listen(runtime.port)
        said = [message(client) for _ in range(3)]
    assert [bool(sentence) for sentence in said] == [True, False, True]


def test_the_answers_context_and_a_notice_go_together(client: HookClient) -> None:
    with StubRuntime(answers(200, json.dumps(CONTEXT).encode())) as runtime:
        client.listen(runtime.port)
        (client.data / "settings.json").write_text("{broken")
        answer = client.run("SessionStart").answer
    assert "settings.json was ignored" in str(answer.pop("systemMessage"))
    assert answer == CONTEXT


def test_the_runtimes_own_message_goes_first(client: HookClient) -> None:
    with StubRuntime(answers(200, b'{"systemMessage":"budget used up"}')) as runtime:
        client.listen(runtime.port)
        (client.data / "settings.json").write_text("{broken")
        assert message(client) == "budget used up"


def test_an_unknown_runtime_is_named_and_its_events_find_the_next_one(client: HookClient) -> None:
    client.run("Stop", CLAUDE_MEM_RUNTIME="postgres")
    said = message(client, CLAUDE_MEM_RUNTIME="postgres")
    assert "CLAUDE_MEM_RUNTIME=postgres is not known; set it to worker or server-beta." in said
    assert "2 events wait" in said
    assert message(client, CLAUDE_MEM_RUNTIME="postgres") == ""
    assert not list(client.data.glob(".*.spawn"))
    names = [path.name for path in client.spooled("unrouted")]
    with StubRuntime() as runtime:
        client.listen(runtime.port, "server-beta")
        assert message(client, CLAUDE_MEM_RUNTIME="server-beta") == ""
    assert client.spooled("unrouted") == []
    assert [path.name for path in client.spooled("server-beta")][:2] == names[:2]


def test_dropped_events_are_counted_in_the_notice(client: HookClient) -> None:
    for number in range(8):
        client.run("Stop", {"last_assistant_message": f"{number}" * 500}, CLAUDE_MEM_SPOOL_MAX_BYTES="4000")
    count = (client.data / "spool/worker/.dropped").read_text()
    assert f"({count} older ones were dropped)" in message(client)


def launches(client: HookClient) -> list[str]:
    path = client.data / "launches"
    return path.read_text().splitlines() if path.exists() else []
