"""Start a process that ends with this one, recognise it later, and see it gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..domain.errors import EngineFailed
from .accounts import Account
from .private_file import write_private

_LAUNCH = Path(__file__).with_name("launch.py")

# Postgres' fast and its immediate shutdown, which both wait for its children. The fast one writes a checkpoint, and
# hangs (18.4) while the server still recovers from a crash; after the immediate one the next start recovers.
_SHUTDOWN = ((signal.SIGINT, 4.0), (signal.SIGQUIT, 7.0), (signal.SIGKILL, 2.0))

# All that an engine gets to know of our environment. LC_ALL keeps its messages English for Log.reason.
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for a later one of the same number."""

    pid: int
    start_token: str

    def is_alive(self) -> bool:
        """Whether exactly this process still runs."""
        return start_token(self.pid) == self.start_token

    def save(self, path: Path) -> None:
        """Write it where the next server looks."""
        write_private(path, json.dumps({"pid": self.pid, "startToken": self.start_token}))

    @classmethod
    def load(cls, path: Path) -> Identity | None:
        """Read what the last server wrote; None where nothing usable is."""
        try:
            saved = json.loads(path.read_text("utf-8"))
            return cls(int(saved["pid"]), str(saved["startToken"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def start_token(pid: int) -> str | None:
    """Return what the system says about a process's start, the same for its whole life; None when it has ended."""
    if platform.system() == "Linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        except OSError:
            return None
        # Fields 3 (state) and 22 (start) of proc_pid_stat(5); the split begins at field 3.
        return None if fields[0] in b"ZX" else f"{boot}:{fields[19].decode()}"
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    shown = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
    return shown.stdout.strip() or None


def spawn(
    command: Sequence[str | Path], account: Account, log: int, record: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program under the account in a session of its own, so that a Ctrl-C reaches us and not it.

    On Linux it gets a SIGQUIT when the *thread* that spawned it ends, so call this in the main thread. Nothing is
    executed before the process is on record, so that a crash of ours leaves none that the next start cannot recognise.
    """
    switch = ["-", "-", "-"]
    if not account.is_ours:
        switch = [str(account.uid), str(account.gid), "-" if account.capability is None else str(account.capability)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", _LAUNCH, *switch, *command],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd="/",
        env=_ENVIRONMENT,
        start_new_session=True,
    )
    assert process.stdin is not None
    with process.stdin as word:
        try:
            if record is not None:
                Identity(process.pid, start_token(process.pid) or "").save(record)
        except BaseException:
            word.close()
            process.wait()
            raise
        # One that has ended already is noticed by whoever waits for it.
        with contextlib.suppress(BrokenPipeError):
            word.write(b"\n")
    return process


async def end(process: subprocess.Popen[bytes]) -> bool:
    """Shut down a child of ours; whether it has ended."""
    return await _end(process.send_signal, lambda: process.poll() is None)


async def end_stranger(identity: Identity) -> bool:
    """Shut down a process that is not our child, as long as it is proven to be the recorded one."""
    return await _end(lambda number: os.kill(identity.pid, number), identity.is_alive)


async def _end(kill: Callable[[int], None], lives: Callable[[], bool]) -> bool:
    for number, seconds in _SHUTDOWN:
        if not lives():
            return True
        try:
            kill(number)
        except ProcessLookupError:
            return True
        except PermissionError as error:
            raise EngineFailed(
                "The embedded Postgres runs under another user and cannot be stopped from here."
            ) from error
        patience = time.monotonic() + seconds
        while lives() and time.monotonic() < patience:  # noqa: ASYNC110 - a stranger's end sets no event
            await asyncio.sleep(0.01)
    return not lives()
