"""What `doctor` looks at in both runtimes; each check is one line that says what to do."""

from __future__ import annotations

import socket
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import lockfile, port_owner, state
from .output import Report
from .runtime import Runtime
from .state import StateFolder
from .status import status

_OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, how it is, and what to do about it."""

    name: str
    result: Literal["ok", "warn", "fail"]
    detail: str


def report(runtime: Runtime, checks: Sequence[Check]) -> Report:
    """Put the findings together; a single failure makes the exit code 1."""
    failed = any(check.result == "fail" for check in checks)
    lines = [f"{check.result:<4}  {check.name}: {check.detail}" for check in checks]
    data = {
        "status": "failed" if failed else "ok",
        "runtime": runtime.name,
        "checks": [{"name": check.name, "result": check.result, "detail": check.detail} for check in checks],
    }
    return Report("\n".join(lines), data, 1 if failed else 0)


def common_checks(runtime: Runtime, folder: StateFolder, host: str, port: int) -> Iterator[Check]:
    """Look at what a client needs, the port and the running server."""
    yield from client_checks(folder)
    yield _port(runtime, folder, host, port)
    yield _health(runtime, folder)


def client_checks(folder: StateFolder) -> Iterator[Check]:
    """Look at what is needed even where the server is elsewhere: the interpreter, the data folder and the spool."""
    yield _python()
    yield _data_folder(folder)
    yield from _private_files(folder)
    yield _spool(folder)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _OLDEST_PYTHON:
        return Check("python", "fail", f"{version} is too old; use Python 3.11 or newer")
    return Check("python", "ok", f"{version} ({sys.executable})")


def _data_folder(folder: StateFolder) -> Check:
    if not folder.root.exists():
        return Check("data folder", "ok", f"{folder.root} does not exist yet; the first start makes it")
    try:
        with tempfile.TemporaryFile(dir=folder.root):
            pass
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        return Check("data folder", "fail", f"{folder.root} cannot be written ({reason}); set CLAUDE_MEM_DATA_DIR")
    if _open_to_others(folder.root):
        return Check("data folder", "warn", f"others can read {folder.root}; run: chmod 700 {folder.root}")
    return Check("data folder", "ok", str(folder.root))


def _private_files(folder: StateFolder) -> Iterator[Check]:
    for path in sorted(folder.root.glob(f".{folder.name}.*")):
        if path.is_file() and _open_to_others(path):
            yield Check("private file", "warn", f"others can read {path}; run: chmod 600 {path}")


def _open_to_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _port(runtime: Runtime, folder: StateFolder, host: str, port: int) -> Check:
    running = state.read(folder)
    if running is not None and lockfile.is_held_by(folder.lock, running.process):
        return Check("port", "ok", f"{running.port} is held by {runtime.name} itself (pid {running.process.pid})")
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(*address[:3]) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address[4])
            listener.listen(1)
    except OSError as error:
        if port and port_owner.is_taken(error):
            owner = port_owner.describe(folder, host, port)
            return Check("port", "fail", f"{port} is held by {owner}; end it or set {runtime.port_setting}")
        reason = (error.strerror or "unknown error").lower()
        return Check("port", "fail", f"{host}:{port} cannot be listened on ({reason})")
    return Check("port", "ok", f"{port} is free" if port else "any free one")


def _spool(folder: StateFolder) -> Check:
    spool = folder.root / "spool" / folder.name
    waiting = sum(1 for _ in spool.glob("*.http"))
    rejected = sum(1 for _ in spool.glob("rejected/*"))
    dropped = spool / ".dropped"
    count = dropped.read_text("ascii", "replace").strip() if dropped.is_file() else "0"
    detail = f"{waiting} events wait, {count} were dropped for lack of space, {rejected} were set aside as unusable"
    return Check("spool", "ok" if count == "0" and not rejected else "warn", detail)


def _health(runtime: Runtime, folder: StateFolder) -> Check:
    now = status(runtime, folder)
    summary = now.text.partition("\n")[0]
    match now.data["status"]:
        case "ready":
            return Check("health", "ok", summary)
        case "down" if lockfile.look(folder.lock) == lockfile.Free():
            return Check("health", "warn", f"{runtime.name} is not running; run: start")
        case "down":
            return Check("health", "fail", f"{summary} Run: restart")
        case _:
            return Check("health", "warn", summary)
