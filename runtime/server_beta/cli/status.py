"""Report the health of the runtime: what it says now, not what a file says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from . import health, lockfile, state
from .output import Report
from .runtime import Runtime
from .state import Running, StateFolder

_NOT_WELL = 1
_DOWN = 3


def status(runtime: Runtime, folder: StateFolder) -> Report:
    """Report ready (exit 0), degraded, starting or stopping (1), or down (3)."""
    lock = lockfile.look(folder.lock)
    if isinstance(lock, lockfile.Free):
        return _down(runtime, None, "it is not running")
    if lock.holder is None:
        return _down(runtime, None, f"{folder.lock} is locked by a process that cannot be identified")
    running = state.read(folder)
    if lock.is_stopping or running is None or running.process != lock.holder:
        word = "stopping" if lock.is_stopping else "starting"
        data = {"status": word, "runtime": runtime.name, "pid": lock.holder.pid, "port": None}
        return Report(f"{runtime.name} (pid {lock.holder.pid}) is {word}.", data, _NOT_WELL)
    return _of_running(runtime, running)


def _of_running(runtime: Runtime, running: Running) -> Report:
    if not health.answers(running):
        return _down(runtime, running.process.pid, f"pid {running.process.pid} does not answer on {running.url}")
    answer = health.ask_health(state.reachable(running.host), running.port)
    details = {} if answer is None else answer.body
    is_well = answer is not None and answer.status == 200 and details.get("status") == "ok"
    word = "ready" if is_well else "degraded"
    data = {
        "status": word,
        "runtime": runtime.name,
        "pid": running.process.pid,
        "port": running.port,
        "version": running.version,
        "url": running.url,
        "health": details,
    }
    text = f"{runtime.name} {running.version} is {word}: pid {running.process.pid}, {running.url}"
    return Report("\n".join([text, *_lines(details)]), data, 0 if is_well else _NOT_WELL)


def _lines(details: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Name every part that has a status of its own."""
    for part, about in details.items():
        if isinstance(about, dict):
            if "status" in about:
                yield f"  {path}{part}: {about['status']}" + (f" ({about['reason']})" if about.get("reason") else "")
            yield from _lines(about, f"{path}{part}.")


def _down(runtime: Runtime, pid: int | None, reason: str) -> Report:
    data = {"status": "down", "runtime": runtime.name, "pid": pid, "port": None, "reason": reason}
    return Report(f"{runtime.name} is down: {reason}.", data, _DOWN)
