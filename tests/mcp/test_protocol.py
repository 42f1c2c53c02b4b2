"""MCP on stdin and stdout: what any client may send, and what the specification wants to hear."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.client import HANDSHAKE, PACKAGES, Program, call, initialize, request
from tests.support.processes import clean_environment

TOOLS = ["search", "timeline", "get_observations", "recent", "list_projects"]


@pytest.fixture(params=sorted(PACKAGES))
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Program:
    """Give a runtime's command line where nothing runs."""
    return Program(request.param, tmp_path / "data", tmp_path)


@pytest.mark.parametrize(
    ("wanted", "agreed"),
    [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("1999-01-01", "2025-06-18"),
        ("9999-01-01", "2025-06-18"),
    ],
)
def test_a_version_is_agreed_on(program: Program, wanted: str, agreed: str) -> None:
    (answer,) = program.say(initialize(wanted))
    result = answer["result"]
    assert result["protocolVersion"] == agreed
    assert result["capabilities"] == {"tools": {}}
    assert result["serverInfo"]["name"] == "claude-mem"
    assert all(tool in result["instructions"] for tool in TOOLS[:3])


def test_tools_are_listed_with_schemas_and_lead_from_one_to_the_next(program: Program) -> None:
    _, answer = program.say(*HANDSHAKE, request("tools/list"))
    tools = {tool["name"]: tool for tool in answer["result"]["tools"]}
    assert list(tools) == TOOLS
    for tool in tools.values():
        schema = tool["inputSchema"]
        assert (schema["type"], schema["additionalProperties"]) == ("object", False)
        assert set(schema["required"]) <= schema["properties"].keys()
        assert tool["annotations"]["readOnlyHint"] is True
    assert "`timeline`" in tools["search"]["description"]
    assert "`get_observations`" in tools["timeline"]["description"]
    assert {name for name, tool in tools.items() if "of 3" in tool["description"]} == set(TOOLS[:3])


def test_each_answer_has_the_id_of_its_request_and_notifications_have_none(program: Program) -> None:
    asked = [
        request("ping", id="text"),
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}},
        request("ping", id=7),
        {"jsonrpc": "2.0", "method": "no/such/notification"},
        {"jsonrpc": "2.0", "id": 9, "result": {}},
        b"\n",
        b"  \r\n",
        request("ping", {}, id=-1),
    ]
    assert program.say(*asked) == [{"jsonrpc": "2.0", "id": id, "result": {}} for id in ("text", 7, -1)]


@pytest.mark.parametrize(
    ("line", "code", "id"),
    [
        (b"{\n", -32700, None),
        (b"hello\n", -32700, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}}\n', -32700, None),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}\n', -32700, None),
        (b"\xff\xfe\n", -32700, None),
        (b"[" * 100_000 + b"\n", -32700, None),
        (b"7\n", -32600, None),
        (b'"ping"\n', -32600, None),
        (b"null\n", -32600, None),
        (b"[]\n", -32600, None),
        (b"{}\n", -32600, None),
        (b'{"id":1,"method":"ping"}\n', -32600, 1),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}\n', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1}\n', -32600, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":7}\n', -32600, 1),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}\n', -32600, None),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}\n', -32600, None),
        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}\n', -32600, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"resources/list"}\n', -32601, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":""}\n', -32601, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}\n', -32602, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":null}\n', -32602, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}\n', -32602, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}\n', -32602, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}\n', -32602, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["search"]}}\n', -32602, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","arguments":[]}}\n', -32602, 1),
    ],
    ids=lambda value: value[:60].decode("latin-1").strip() if isinstance(value, bytes) else None,
)
def test_a_bad_message_is_answered_and_the_next_one_too(program: Program, line: bytes, code: int, id: object) -> None:
    bad, good = program.say(line, request("ping", id="next"))
    assert (bad["error"]["code"], bad["id"]) == (code, id)
    assert bad["error"]["message"].endswith(".")
    assert good == {"jsonrpc": "2.0", "id": "next", "result": {}}


def test_a_batch_is_answered_as_one(program: Program) -> None:
    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    (answers,) = program.say([request("ping", id=1), notification, 7, request("nothing", id=2)], [notification])
    assert [(answer["id"], answer.get("error", {}).get("code")) for answer in answers] == [
        (1, None),
        (None, -32600),
        (2, -32601),
    ]


def test_an_unknown_tool_is_told_which_exist(program: Program) -> None:
    (answer,) = program.say(call("forget_everything", {}))
    assert answer["error"]["code"] == -32602
    assert all(tool in answer["error"]["message"] for tool in TOOLS)


@pytest.mark.parametrize(
    ("tool", "arguments", "issues"),
    [
        ("search", {}, ["query is required"]),
        ("search", None, ["query is required"]),
        (
            "search",
            {"query": "", "limit": 0, "kinds": ["bugfix", 7], "since": "last week", "format": "xml", "colour": "red"},
            [
                "query must have 1 to 4000 characters",
                "limit must be from 1 to 100",
                "kinds[1] must be a text",
                "since must look like 2026-01-31",
                "format must be one of: text, json",
                "colour is not known; there are query, project, limit, kinds, since, until, format",
            ],
        ),
        (
            "search",
            {"query": 7, "limit": True, "kinds": "bugfix", "project": ""},
            [
                "query must be a text",
                "limit must be a whole number",
                "kinds must be a list",
                "project must have 1 to 400 characters",
            ],
        ),
        ("search", {"query": "x", "limit": 1.5}, ["limit must be a whole number"]),
        (
            "timeline",
            {"before": 51, "after": -1},
            ["anchor is required", "before must be from 0 to 50", "after must be from 0 to 50"],
        ),
        ("timeline", {"anchor": "9f3c"}, ["anchor must look like 9f3c21d0"]),
        ("get_observations", {"ids": []}, ["ids must have 1 to 100 items"]),
        (
            "get_observations",
            {"ids": ["9f3c21d0", "x", None]},
            ["ids[1] must look like 9f3c21d0", "ids[2] must be a text"],
        ),
        ("list_projects", {"project": "x"}, ["project is not known; there are format"]),
    ],
)
def test_every_problem_of_the_arguments_is_named(
    program: Program, tool: str, arguments: dict[str, object] | None, issues: list[str]
) -> None:
    (answer,) = program.say(call(tool, arguments))
    error = answer["error"]
    assert error["code"] == -32602
    assert sorted(error["data"]["issues"]) == sorted(issues)
    assert all(issue in error["message"] for issue in issues)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("search", {"query": "x"}),
        ("timeline", {"anchor": "9f3c21d0"}),
        ("get_observations", {"ids": ["9f3c21d0"]}),
        ("recent", {}),
        ("list_projects", {}),
    ],
)
def test_where_nothing_runs_a_tool_says_how_to_start_it(
    program: Program, tool: str, arguments: dict[str, object]
) -> None:
    sentence = program.refusal(tool, **arguments)
    assert f"{program.runtime} is not running" in sentence
    assert sentence.endswith(f"-m {PACKAGES[program.runtime]} start")
    assert not program.data_dir.exists()


def test_answers_come_while_the_client_still_talks(program: Program) -> None:
    with program.conversation() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in (initialize(), request("ping")):
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            answer: Any = json.loads(process.stdout.readline())
            assert answer["id"] == message["id"]
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_a_last_line_without_an_end_is_answered(program: Program) -> None:
    assert program.say(json.dumps(request("ping", id=1)).encode()) == [{"jsonrpc": "2.0", "id": 1, "result": {}}]


def test_it_ends_quietly_when_nobody_reads_any_more(program: Program) -> None:
    with program.conversation() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(json.dumps(request("tools/list")).encode() + b"\n")
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == b""


def test_what_is_printed_by_mistake_does_not_reach_the_client(program: Program, tmp_path: Path) -> None:
    package = PACKAGES[program.runtime]
    noisy = tmp_path / "noisy.py"
    noisy.write_text(
        "import os, subprocess, sys\n"
        f"from {package}.cli.main import run\n"
        f"from {package}.cli import mcp\n"
        "class Noisy(mcp.McpServer):\n"
        "    def answer(self, line):\n"
        "        print('printed', flush=True)\n"
        "        subprocess.run(['echo', 'a child'], check=True)\n"
        "        return super().answer(line)\n"
        "mcp.McpServer = Noisy\n"
        "sys.exit(run(['mcp'], os.environ))\n"
    )
    done = subprocess.run(
        [sys.executable, noisy],
        env=clean_environment(program.data_dir),
        input=json.dumps(request("ping", id=1)) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == '{"jsonrpc":"2.0","id":1,"result":{}}\n'
    assert done.stderr.split("\n") == ["printed", "a child", ""]


def test_nothing_heavy_is_imported_before_a_tool_asks_for_it(program: Program) -> None:
    command = [sys.executable, "-X", "importtime", "-m", PACKAGES[program.runtime], "mcp"]
    done = subprocess.run(
        command,
        env=clean_environment(program.data_dir),
        input=json.dumps(initialize()) + "\n" + json.dumps(request("tools/list")) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "platformdirs" in imported
    assert imported.isdisjoint({"aiohttp", "asyncio", "asyncpg", "bullmq", "http", "msgspec", "sqlite3", "ssl"})


def test_a_working_folder_that_has_gone_is_one_sentence(program: Program, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with Program(program.runtime, program.data_dir, gone).conversation() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(initialize()).encode() + b"\n")
        process.stdin.flush()
        process.stdout.readline()
        gone.rmdir()
        process.stdin.write(json.dumps(call("search", {"query": "x"})).encode() + b"\n")
        process.stdin.close()
        answer = json.loads(process.stdout.readline())
    assert answer["result"]["isError"] is True
