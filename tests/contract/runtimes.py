"""Both runtimes as a user has them: a process started from source, an address, and a key in a file."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import clean_environment
from tests.support.waiting import eventually_sync

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """What differs between the runtimes, seen from outside."""

    name: str
    package: str
    key_file: str
    port_setting: str


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        Runtime("worker", "worker", ".worker.token", "CLAUDE_MEM_WORKER_PORT"),
        Runtime("server-beta", "server_beta", ".server-beta.key", "CLAUDE_MEM_SERVER_PORT"),
    )
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Address:
    """A running runtime."""

    runtime: Runtime
    port: int
    key: str
    data_dir: Path

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()


@contextlib.contextmanager
def running(runtime: Runtime, data_dir: Path) -> Iterator[Address]:
    """Start the runtime on any free port, for the length of a block."""
    log = data_dir / "test.log"
    environment = clean_environment(data_dir, **{runtime.port_setting: "0", "CLAUDE_MEM_LOG_LEVEL": "warning"})
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", runtime.package, "run", "--json"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        port = _ready_port(process, data_dir / f".{runtime.name}.port", log)
        yield Address(runtime, port, data_dir.joinpath(runtime.key_file).read_text("ascii").strip(), data_dir)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()


def _ready_port(process: subprocess.Popen[bytes], port_file: Path, log: Path) -> int:
    """Wait for the port file, which is written when the runtime is ready."""
    eventually_sync(lambda: process.poll() is not None or port_file.exists(), _START_SECONDS)
    if process.poll() is not None:
        raise AssertionError(f"the runtime ended with {process.returncode}: {log.read_text('utf-8', 'replace')}")
    return int(port_file.read_text("ascii"))
