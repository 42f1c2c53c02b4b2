"""Private text never leaves the hook: not to the runtime, not to the spool, not to the log."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from hooks.capture.privacy import cut_private, may_hold_private, without_private
from tests.hooks.client import HookClient, Spooled
from tests.hooks.stub_runtime import StubRuntime, answers

CANARY = "canary-4711"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("plain", "plain"),
        ("a<private>x</private>b", "ab"),
        ("a<PRIVATE>x</Private>b", "ab"),
        ("a<private>x<private>y</private>z</private>b", "ab"),
        ("a<private>x</private>b<private>y</private>c", "abc"),
        ("a<private>x", "a"),
        ("a<private>x<private>y</private>z", "a"),
        ("a</private>b", "a</private>b"),
        ("a<private >x</private\n>b", "ab"),
        ("a<privateer>x</privateer>b", "a<privateer>x</privateer>b"),
        ("a<private", "a<private"),
        ("<<private>x</private>>", "<>"),
        ("<private><<</private>b", "b"),
        ("<private>all of it</private>", ""),
        ("  <private>all</private>\n", ""),
        ("  ", "  "),
        ("İ漢\ud800<private>x</private>é", "İ漢\ud800é"),
        ("a< private>x< / private >b", "ab"),
        ('a<private reason="x">y</private x>b', "ab"),
        ("a<private reason=<b>x", "a<private reason=<b>x"),
        ("a<private/>b", "a"),
        ("a<private\u00a0>x</private>b", "ab"),
        ("private <b>", "private <b>"),
        ("</private><private>x</private>", "</private>"),
    ],
)
def test_private_text_is_cut(text: str, cut: str) -> None:
    assert cut_private(text) == cut


@pytest.mark.parametrize(
    "tag",
    [
        "<private>",
        "\\u003cprivate\\u003e",
        "\\u003CPRIVATE>",
        "<\\u0070rivate>",
        "\\u003c\\u0070\\u0072\\u0069\\u0076\\u0061\\u0074\\u0065\\u003e",
        "<p\\u0052ivate>",
        "<pri\\u0056ate>",
        "<priva\\u0054\\u0045>",
    ],
)
def test_however_the_tag_is_written_in_json(tag: str) -> None:
    text = f'{{"a":"x {tag}{CANARY}","n":[1.50,1e5,true,null],"b":"y"}}'
    assert may_hold_private(text.encode().lower())
    assert without_private(text) == '{"a":"x ","n":[1.50,1e5,true,null],"b":"y"}'


def test_what_is_not_private_stays_byte_for_byte() -> None:
    text = '{ "k\\"<private>k</private>" : "\\u00e9\\/\\ud83d\\ude00" , "v":["<private>x</private>é","\\\\"] }'
    assert without_private(text) == '{ "k\\"" : "\\u00e9\\/\\ud83d\\ude00" , "v":["\\u00e9","\\\\"] }'


def test_cutting_takes_linear_time() -> None:
    texts: tuple[str, ...] = (
        "<private>" * 200_000,
        "<private>x</private>" * 100_000,
        "<" * 2_000_000 + "<private>",
        "</private>" * 200_000,
    )
    texts += ("<private " * 200_000, "< " * 1_000_000, "<" + " " * 2_000_000, "</" * 1_000_000)
    started = time.process_time()
    for text in texts:
        cut_private("<private></private>" + text)
    assert time.process_time() - started < 10


@pytest.mark.parametrize("runtime_is_up", [True, False])
@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("UserPromptSubmit", {"prompt": f"please <private>{CANARY}</private> go on"}),
        ("UserPromptSubmit", {"prompt": f"open end <PRIVATE>{CANARY}"}),
        (
            "PostToolUse",
            {"tool_input": {"command": f"x <private>{CANARY}</private>", f"<private>{CANARY}</private>k": 1}},
        ),
        ("PostToolUse", {"tool_response": [{"deep": [f"<private>a<private>b</private>{CANARY}</private>"]}]}),
        ("Stop", {"last_assistant_message": f"<private>{CANARY}"}),
        ("PreToolUse", {"tool_input": {"file_path": f"<private>{CANARY}"}}),
    ],
)
def test_no_canary_leaves_the_hook(
    client: HookClient, event: str, fields: dict[str, object], runtime_is_up: bool
) -> None:
    with StubRuntime(answers(200 if runtime_is_up else 500, b"{}")) as runtime:
        client.listen(runtime.port)
        client.run(event, fields)
    (request,) = runtime.requests
    assert CANARY.encode() not in request.raw
    json.loads(request.body)
    assert _nothing_kept_holds_the_canary(client.data)


def test_no_canary_in_the_shrunk_body(client: HookClient) -> None:
    client.run(
        "PostToolUse", {"tool_response": f"<private>{CANARY}</private>" + "x" * 7_000_000 + f"<private>{CANARY}"}
    )
    assert len(client.spooled()) == 1
    assert _nothing_kept_holds_the_canary(client.data)


def test_no_payload_reaches_the_log(client: HookClient) -> None:
    client.run("Stop", {"last_assistant_message": CANARY})
    client.run("Stop", b"garbage " + CANARY.encode())
    with StubRuntime(answers(400, CANARY.encode()), answers(200, CANARY.encode())) as runtime:
        client.listen(runtime.port, key="secret-token")
        client.run("Stop", {"last_assistant_message": CANARY})
        client.run("Stop", {"last_assistant_message": CANARY})
    assert client.log().count("\n") == 4
    assert CANARY not in client.log()
    assert "secret-token" not in client.log()


@pytest.mark.parametrize(
    ("prompt", "is_private"),
    [
        ("<private>all of it</private>", True),
        (" <private>all</private> \n", True),
        ("<private>open", True),
        ("do <private>x</private>", False),
        ("", False),
        ("talk about private things", False),
    ],
)
def test_a_wholly_private_prompt_is_marked(client: HookClient, prompt: str, is_private: bool) -> None:
    with StubRuntime(answers(503, b"")) as runtime:
        client.listen(runtime.port)
        client.run("UserPromptSubmit", {"prompt": prompt})
    (request,) = runtime.requests
    spooled = Spooled.read(client.spooled()[0])
    for headers, body in ((request.headers, request.body), (spooled.headers, spooled.body)):
        assert headers.get("x-claude-mem-private") == ("1" if is_private else None)
        if is_private:
            assert json.loads(body)["prompt"] == ""


def _nothing_kept_holds_the_canary(folder: Path) -> bool:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return not any(CANARY.encode() in path.read_bytes() or CANARY in path.name for path in files)
