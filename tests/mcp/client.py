"""An agent's client that speaks MCP in plain lines of JSON to the program that a plugin starts."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Any

from tests.support.processes import clean_environment

# Far above what anything here takes: a server that hangs fails its test.
PATIENCE_SECONDS = 60
PACKAGES = {"worker": "worker", "server-beta": "server_beta"}

Message = dict[str, Any]
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Program:
    """A runtime's command line, called from a working folder."""

    runtime: str
    data_dir: Path
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", PACKAGES[self.runtime], *arguments],
            cwd=self.folder,
            env=clean_environment(self.data_dir, **self.env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def say(self, *lines: object, stderr: str = "") -> list[Any]:
        """Send these lines and no more, and return what was answered to all of them.

        Whatever is asked, the server ends at the end of its input, with exit code 0, and says nothing but protocol.
        """
        text = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
        done = subprocess.run(
            [sys.executable, "-m", PACKAGES[self.runtime], "mcp"],
            cwd=self.folder,
            env=clean_environment(self.data_dir, **self.env),
            input=text,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert (done.returncode, done.stderr.decode()) == (0, stderr)
        assert done.stdout == b"" or done.stdout.endswith(b"\n")
        return [_checked(json.loads(line)) for line in done.stdout.split(b"\n")[:-1]]

    def call(self, tool: str, **arguments: object) -> str:
        """Call one tool and return the text of its result, which must be no failure."""
        result = self.result(tool, arguments)
        assert result["isError"] is False, result
        return str(result["content"][0]["text"])

    def refusal(self, tool: str, **arguments: object) -> str:
        """Call one tool and return the sentence with which it failed."""
        result = self.result(tool, arguments)
        assert result["isError"] is True, result
        return str(result["content"][0]["text"])

    def result(self, tool: str, arguments: Mapping[str, object]) -> Message:
        """Call one tool in a session of its own."""
        first, answer = self.say(*HANDSHAKE, call(tool, arguments))
        assert first["result"]["serverInfo"]["name"] == "claude-mem"
        result: Message = answer["result"]
        assert [part["type"] for part in result["content"]] == ["text"]
        return result

    @contextmanager
    def conversation(self) -> Iterator[subprocess.Popen[bytes]]:
        """Keep the server for the length of a block."""
        process = subprocess.Popen(
            [sys.executable, "-m", PACKAGES[self.runtime], "mcp"],
            cwd=self.folder,
            env=clean_environment(self.data_dir, **self.env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        watchdog = Timer(PATIENCE_SECONDS, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            watchdog.cancel()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def request(method: str, params: object = None, **more: object) -> Message:
    """Make a request with an id that no other has."""
    message: Message = {"jsonrpc": "2.0", "id": next(_ids), "method": method}
    return {**message, **({} if params is None else {"params": params}), **more}


def call(tool: str, arguments: Mapping[str, object] | None = None) -> Message:
    """Make a tool call."""
    return request("tools/call", {"name": tool, **({} if arguments is None else {"arguments": arguments})})


def initialize(version: str = "2025-06-18") -> Message:
    """Make the first request of a session."""
    client = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    return request("initialize", client)


HANDSHAKE: Sequence[Message] = (
    initialize(),
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
)


def checkout(folder: Path, remote: str) -> Path:
    """Make a folder look like a checkout of a remote repository."""
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "config").write_text(f'[remote "origin"]\n\turl = {remote}\n')
    return folder


def _checked(answer: Any) -> Any:
    for one in answer if isinstance(answer, list) else [answer]:
        assert one["jsonrpc"] == "2.0"
        assert ("result" in one) != ("error" in one)
    return answer
