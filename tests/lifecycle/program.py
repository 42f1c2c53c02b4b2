"""One runtime's command line as a person or a script uses it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from server_beta.cli.state import StateFolder
from tests.support.processes import clean_environment, running_python

# Far above what anything here takes: a command that hangs fails its test.
_PATIENCE_SECONDS = 90

_PORT_SETTINGS = {"worker": "CLAUDE_MEM_WORKER_PORT", "server-beta": "CLAUDE_MEM_SERVER_PORT"}
OTHER = {"worker": "server-beta", "server-beta": "worker"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command did."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def data(self) -> dict[str, object]:
        """The one JSON object on stdout."""
        answer: dict[str, object] = json.loads(self.stdout)
        return answer


@dataclass(frozen=True, slots=True)
class Program:
    """A runtime, from source, with a data folder; port 0 lets the system choose."""

    name: str
    data_dir: Path
    port: int = 0
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> StateFolder:
        """Where its state files lie."""
        return StateFolder(self.data_dir, self.name)

    @property
    def command_line(self) -> list[str]:
        """How it is called."""
        return ["-m", self.name.replace("-", "_")]

    @property
    def environment(self) -> dict[str, str]:
        """What it is called with, besides a clean environment."""
        return {_PORT_SETTINGS[self.name]: str(self.port), **self.env}

    def __call__(self, *arguments: str, cwd: Path | None = None) -> Answer:
        """Run one command to its end."""
        done = subprocess.run(
            [sys.executable, *self.command_line, *arguments],
            env=clean_environment(self.data_dir, **self.environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self) -> int:
        """Start it and return its pid."""
        answer = self("start", "--json")
        assert answer.exit_code == 0, answer.stderr + self.log
        pid = answer.data["pid"]
        assert isinstance(pid, int)
        return pid

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.files.log.read_text() if self.files.log.exists() else ""

    def state(self) -> dict[str, bytes]:
        """Read every state file that exists."""
        paths = (self.files.pid, self.files.port, self.files.runtime)
        return {path.name: path.read_bytes() for path in paths if path.exists()}

    def health(self) -> dict[str, object]:
        """Ask the server itself, past the command line."""
        port = int(self.files.port.read_text())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as response:
            body: dict[str, object] = json.load(response)
        return body

    @contextmanager
    def in_foreground(self) -> Iterator[subprocess.Popen[str]]:
        """Run it in the foreground, ready, for the length of a block."""
        with running_python([*self.command_line, "run", "--json"], self.data_dir, self.environment) as process:
            assert json.loads(read_line(process))["status"] == "ready"
            yield process


def read_line(process: subprocess.Popen[str]) -> str:
    """Read the next line of a process; one that stays silent too long is killed, and the line is empty."""
    assert process.stdout is not None
    impatience = threading.Timer(_PATIENCE_SECONDS, process.kill)
    impatience.start()
    try:
        return process.stdout.readline()
    finally:
        impatience.cancel()


@contextmanager
def stranger(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a living process that has nothing to do with us."""
    code = "import signal; print(flush=True); signal.pause()"
    with running_python(["-c", code], data_dir) as process:
        read_line(process)
        yield process


@contextmanager
def locked_by_this_process(path: Path) -> Iterator[None]:
    """Hold the lock of a file without any claim to be a runtime."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def taken_port() -> Iterator[int]:
    """Give a port on which this process listens and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield listener.getsockname()[1]
