"""Who a process is: a pid is reused by the system, a pid with the start token is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_STATE = 0
_START_TIME = 19  # field 22 of /proc/<pid>/stat, counted from the state, which follows the command's name
_ENDED = frozenset({b"Z", b"X", b"x"})


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, for ever: its pid and what the system says about its start."""

    pid: int
    start_token: str


def current() -> ProcessIdentity:
    """Identify this process; raises OSError where the system does not tell when a process started."""
    token = start_token(os.getpid())
    if token is None:
        raise OSError(0, "the system does not tell when this process started", "/proc/self/stat")
    return ProcessIdentity(os.getpid(), token)


def start_token(pid: int) -> str | None:
    """Ask the system when the process started; None when it has ended or nothing is known about it."""
    return _token_from_proc(pid) if sys.platform == "linux" else _token_from_ps(pid)


def is_alive(process: ProcessIdentity) -> bool:
    """Tell whether this very process still runs; a later one with the same pid does not count."""
    return start_token(process.pid) == process.start_token


def exists(pid: int) -> bool:
    """Tell whether any process, of whatever identity, has this pid."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def send(process: ProcessIdentity, number: signal.Signals) -> bool:
    """Signal this very process; False when it has ended, and then nothing was signalled."""
    try:
        pinned = _pin(process.pid)
    except ProcessLookupError:
        return False
    try:
        # The token is compared while the pid is pinned: from here on the pid cannot come to mean another process.
        if not is_alive(process):
            return False
        if pinned is None:
            os.kill(process.pid, number)
        else:
            signal.pidfd_send_signal(pinned, number)
    except ProcessLookupError:
        return False
    finally:
        if pinned is not None:
            os.close(pinned)
    return True


def _pin(pid: int) -> int | None:
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:  # a kernel or a sandbox without pidfds
        return None


def _token_from_proc(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return None
    # The command's name may itself hold spaces and brackets; the last bracket ends it.
    fields = stat.rpartition(b")")[2].split()
    if len(fields) <= _START_TIME or fields[_STATE] in _ENDED:
        return None
    return f"{boot}:{fields[_START_TIME].decode('ascii')}"


def _token_from_ps(pid: int) -> str | None:
    listing = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={"LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = listing.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
