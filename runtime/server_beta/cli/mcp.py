"""An MCP server on stdin and stdout: one JSON-RPC message a line, tools only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from ..domain.errors import ClaudeMemError
from .mcp_tools import INSTRUCTIONS, TOOLS, Tool, text_of
from .memory import Memory
from .schema import problems

VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")
_PARSE_ERROR = -32700
_INVALID_REQUEST = -32600
_METHOD_NOT_FOUND = -32601
_INVALID_PARAMS = -32602
_INTERNAL_ERROR = -32603

Message = dict[str, Any]


class _Failure(Exception):
    """A request that is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


def serve_stdio(memory: Memory, version: str) -> None:
    """Answer until stdin ends or nobody reads the answers any more."""
    server = McpServer(memory, version)
    with suppress(BrokenPipeError), _protocol_output() as output:
        for line in sys.stdin.buffer:
            answer = server.answer(line) if line.strip() else None
            if answer is not None:
                output.write(answer + b"\n")
                output.flush()


class McpServer:
    """Answers messages; keeps nothing between them."""

    def __init__(self, memory: Memory, version: str, tools: Iterable[Tool] = TOOLS) -> None:
        self._memory = memory
        self._version = version
        self._tools = {tool.name: tool for tool in tools}

    def answer(self, line: bytes) -> bytes | None:
        """Answer one line: a message, or a batch of them; None where nothing wants an answer."""
        try:
            content = json.loads(line.decode("utf-8"), parse_constant=_refuse)
        except (ValueError, RecursionError):
            return _written(_error(None, _Failure(_PARSE_ERROR, "A message must be one line of JSON.")))
        if not isinstance(content, list):
            answer = self._one(content)
            return None if answer is None else _written(answer)
        if not content:
            return _written(_error(None, _Failure(_INVALID_REQUEST, "A batch must not be empty.")))
        answers = [answer for message in content if (answer := self._one(message)) is not None]
        return _written(answers) if answers else None

    def _one(self, message: object) -> Message | None:
        if not isinstance(message, dict):
            return _error(None, _Failure(_INVALID_REQUEST, "A message must be a JSON object."))
        if "method" not in message and ("result" in message or "error" in message):
            return None  # an answer, and nothing was asked
        asked, method, params = message.get("id"), message.get("method"), message.get("params", {})
        has_id = isinstance(asked, str | int | float) and not isinstance(asked, bool)
        if not has_id and "id" in message:
            return _error(None, _Failure(_INVALID_REQUEST, "An id must be a text or a number."))
        if message.get("jsonrpc") != "2.0" or not isinstance(method, str):
            failure = _Failure(_INVALID_REQUEST, 'A message needs "jsonrpc": "2.0" and a method.')
            return _error(asked, failure)
        if not has_id:
            return None  # a notification
        try:
            return {"jsonrpc": "2.0", "id": asked, "result": self._result(method, params)}
        except _Failure as failure:
            return _error(asked, failure)
        except Exception as error:
            # Of an unexpected one only the type: its text may quote what was recorded.
            print(f"mcp: {method} failed: {type(error).__name__}", file=sys.stderr)
            return _error(asked, _Failure(_INTERNAL_ERROR, f"{type(error).__name__} in claude-mem; please report it."))

    def _result(self, method: str, params: object) -> Message:
        if not isinstance(params, dict):
            raise _Failure(_INVALID_PARAMS, "params must be an object.")
        match method:
            case "initialize":
                return self._initialize(params)
            case "ping":
                return {}
            case "tools/list":
                return {"tools": [tool.wire for tool in self._tools.values()]}
            case "tools/call":
                return self._call(params)
            case _:
                raise _Failure(_METHOD_NOT_FOUND, f"There is no method {method[:80]}.")

    def _initialize(self, params: Mapping[str, Any]) -> Message:
        wanted = params.get("protocolVersion")
        if not isinstance(wanted, str):
            raise _Failure(_INVALID_PARAMS, "protocolVersion is required.", {"supported": VERSIONS})
        return {
            "protocolVersion": wanted if wanted in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "claude-mem", "title": "claude-mem", "version": self._version},
            "instructions": INSTRUCTIONS,
        }

    def _call(self, params: Mapping[str, Any]) -> Message:
        name, arguments = params.get("name"), params.get("arguments", {})
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            raise _Failure(_INVALID_PARAMS, f"There is no tool {str(name)[:80]}; there are {', '.join(self._tools)}.")
        if issues := list(problems(arguments, tool.schema)):
            raise _Failure(_INVALID_PARAMS, f"{tool.name}: {'; '.join(issues)}.", {"issues": issues})
        try:
            text, is_error = text_of(tool.answer(self._memory, arguments), arguments), False
        except ClaudeMemError as error:
            text, is_error = str(error), True
        except OSError as error:
            text, is_error = f"{tool.name} failed: {error.strerror or type(error).__name__}.", True
        return {"content": [{"type": "text", "text": text}], "isError": is_error}


def _protocol_output() -> BinaryIO:
    """Take stdout for the protocol alone: whatever else prints, a child process too, goes to stderr."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return output


def _written(message: object) -> bytes:
    # ASCII: no line end but the message's own, and lone surrogates stay what they are.
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def _error(asked: object, failure: _Failure) -> Message:
    error: Message = {"code": failure.code, "message": str(failure)}
    if failure.data is not None:
        error["data"] = failure.data
    return {"jsonrpc": "2.0", "id": asked, "error": error}


def _refuse(constant: str) -> float:
    raise ValueError(constant)
