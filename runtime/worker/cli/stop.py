"""Stop the runtime whose lock proves that it is ours, and answer when it is gone."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass

from ..domain.errors import ClaudeMemError
from . import identity, lockfile
from .identity import ProcessIdentity
from .output import Report
from .runtime import Runtime
from .state import StateFolder

GRACE_SECONDS = 15.0  # the process itself gives up after 13
_KILL_SECONDS = 5.0
_PAUSE_SECONDS = 0.02


class NotOurs(ClaudeMemError):
    """The lock is held by a process that cannot be identified."""


class StillRunning(ClaudeMemError):
    """The process did not end."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The process has ended; whether it had to be killed."""

    process: ProcessIdentity
    killed: bool


def stop(runtime: Runtime, folder: StateFolder) -> Report:
    """Stop the runtime; that it does not run is a success too."""
    stopped = end(runtime, folder)
    if stopped is None:
        return Report(f"{runtime.name} is not running.", {"status": "not running", "runtime": runtime.name})
    pid = stopped.process.pid
    how = f"did not stop within {GRACE_SECONDS:.0f} s and was killed" if stopped.killed else "is stopped"
    data = {"status": "stopped", "runtime": runtime.name, "pid": pid, "killed": stopped.killed}
    return Report(f"{runtime.name} (pid {pid}) {how}.", data)


def end(runtime: Runtime, folder: StateFolder) -> Stopped | None:
    """End the process that holds the lock; None when nobody does; raises NotOurs without proof who it is."""
    with lockfile.turn(folder.pid, GRACE_SECONDS + _KILL_SECONDS):
        lock = lockfile.look(folder.lock)
        if isinstance(lock, lockfile.Free):
            return None
        if lock.holder is None:
            raise NotOurs(
                f"{folder.lock} is locked by a process that is not provably {runtime.name}; nothing was stopped."
            )
        if not lock.is_stopping:  # a second signal would cut it off
            identity.send(lock.holder, signal.SIGTERM)
        return _see_it_end(runtime, folder, lock.holder)


def _see_it_end(runtime: Runtime, folder: StateFolder, process: ProcessIdentity) -> Stopped:
    if _gone(folder, process, GRACE_SECONDS):
        return Stopped(process, killed=False)
    identity.send(process, signal.SIGKILL)
    if _gone(folder, process, _KILL_SECONDS):
        return Stopped(process, killed=True)
    raise StillRunning(f"{runtime.name} (pid {process.pid}) does not end, not even when killed.")


def _gone(folder: StateFolder, process: ProcessIdentity, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while identity.is_alive(process) or lockfile.is_held_by(folder.lock, process):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True
