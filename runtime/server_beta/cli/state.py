"""The state files of one runtime in the data folder: they inform others and prove nothing (the lock does)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..domain.errors import StartRefused
from .identity import ProcessIdentity

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # read, never bound


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Where the state files of the runtime called `name` lie."""

    root: Path
    name: str

    @property
    def lock(self) -> Path:
        """The file whose lock makes a process the runtime; holds its identity."""
        return self.root / f".{self.name}.lock"

    @property
    def pid(self) -> Path:
        """JSON: pid, port, startedAt, startToken."""
        return self.root / f".{self.name}.pid"

    @property
    def port(self) -> Path:
        """The port as text."""
        return self.root / f".{self.name}.port"

    @property
    def runtime(self) -> Path:
        """JSON: everything about the running process."""
        return self.root / f".{self.name}.runtime.json"

    @property
    def log(self) -> Path:
        """Where the detached process writes."""
        return self.root / "logs" / f"{self.name}.log"

    def prepare(self) -> None:
        """Make the folders, private to this user; raises StartRefused with the folder that cannot be used."""
        for folder in (self.root, self.log.parent):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise StartRefused(
                    f"The folder {folder} cannot be made ({_reason(error)}); "
                    "set CLAUDE_MEM_DATA_DIR to a folder that you can write to."
                ) from error


@dataclass(frozen=True, slots=True)
class Running:
    """One ready process as its state files describe it; instants are milliseconds since the epoch."""

    runtime: str
    version: str
    process: ProcessIdentity
    host: str
    port: int
    started_at: int

    @property
    def url(self) -> str:
        """The address for people and clients."""
        host = reachable(self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def reachable(host: str) -> str:
    """Turn the address that a server listens on into one to connect to."""
    return _WILDCARDS.get(host, host)


def publish(folder: StateFolder, running: Running) -> None:
    """Write the three files, each whole or not at all; the caller holds the lock."""
    process = {
        "pid": running.process.pid,
        "port": running.port,
        "startedAt": running.started_at,
        "startToken": running.process.start_token,
    }
    about = {
        "runtime": running.runtime,
        "version": running.version,
        **process,
        "host": running.host,
        "url": running.url,
    }
    _write(folder.pid, json.dumps(process))
    _write(folder.port, str(running.port))
    _write(folder.runtime, json.dumps(about))  # last: who finds it finds the others too


def withdraw(folder: StateFolder, process: ProcessIdentity) -> None:
    """Remove the files that `process` published; files that name another process stay."""
    if _names(folder.runtime, process):
        folder.runtime.unlink(missing_ok=True)
    if _names(folder.pid, process):
        folder.port.unlink(missing_ok=True)
        folder.pid.unlink(missing_ok=True)


def read(folder: StateFolder) -> Running | None:
    """Read what a ready process published; None when there is nothing usable."""
    about = _read_object(folder.runtime)
    match about:
        case {
            "runtime": str(runtime),
            "version": str(version),
            "pid": int(pid),
            "startToken": str(token),
            "host": str(host),
            "port": int(port),
            "startedAt": int(started_at),
        }:
            return Running(runtime, version, ProcessIdentity(pid, token), host, port, started_at)
        case _:
            return None


def recorded_process(folder: StateFolder) -> tuple[int, str | None] | None:
    """Read the pid and the start token, if any, in the pid file; None when it names no process."""
    match _read_object(folder.pid):
        case {"pid": int(pid), "startToken": str(token)} if pid > 0:
            return pid, token
        case {"pid": int(pid)} if pid > 0:
            return pid, None
        case _:
            return None


def _names(path: Path, process: ProcessIdentity) -> bool:
    about = _read_object(path)
    return about.get("pid") == process.pid and about.get("startToken") == process.start_token


def _read_object(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(path: Path, text: str) -> None:
    # One name is enough for the temporary file: only the holder of the lock writes here.
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError as error:
        raise StartRefused(f"The file {path} cannot be written ({_reason(error)}).") from error


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()
