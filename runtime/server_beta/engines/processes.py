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
# hangs (18.4) while the server still recovers from a crash; after the other two the next start recovers. Together less
# than the ten seconds that a stop may take.
_SHUTDOWN = ((signal.SIGINT, 4.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0))
# What does not even listen to those who connect does not listen to a signal that it would have to act on.
_KILL = _SHUTDOWN[-1:]

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


def children_of(pid: int) -> list[Identity]:
    """Return the children of a process."""
    if platform.system() == "Linux":
        stats = (entry / "stat" for entry in Path("/proc").iterdir() if entry.name.isdigit())
        pairs = [(int(stat.parent.name), _parent(stat)) for stat in stats]
    else:
        command = ["/bin/ps", "-A", "-o", "pid=,ppid="]
        shown = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
        pairs = [(int(child), int(parent)) for child, parent in map(str.split, shown.stdout.splitlines())]
    tokens = {child: start_token(child) for child, parent in pairs if parent == pid}
    return [Identity(child, token) for child, token in tokens.items() if token is not None]


def _parent(stat: Path) -> int:
    try:
        # Field 4 of proc_pid_stat(5); the split begins at field 3.
        return int(stat.read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


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
    return await _end(process.pid, process.send_signal, lambda: process.poll() is None, _SHUTDOWN)


async def kill(process: subprocess.Popen[bytes]) -> bool:
    """End a child of ours that answers nothing any more, with its own children; whether it has ended."""
    return await _end(process.pid, process.send_signal, lambda: process.poll() is None, _KILL)


async def end_stranger(identity: Identity) -> bool:
    """Shut down a process that is not our child, as long as it is proven to be the recorded one."""
    return await _end(identity.pid, lambda number: os.kill(identity.pid, number), identity.is_alive, _SHUTDOWN)


async def _end(
    pid: int, send: Callable[[int], None], lives: Callable[[], bool], steps: Sequence[tuple[signal.Signals, float]]
) -> bool:
    for number, seconds in steps:
        if not lives():
            return True
        # Looked for while their parent lives, and nobody can have their numbers. Each is in a group of its own, and one
        # that hangs would not notice that it is alone, while it keeps the next server from starting.
        left = children_of(pid) if number is signal.SIGKILL else []
        try:
            with contextlib.suppress(ProcessLookupError):
                send(number)
        except PermissionError as error:
            raise EngineFailed(
                "The embedded Postgres runs under another user and cannot be stopped from here."
            ) from error
        for child in left:
            with contextlib.suppress(ProcessLookupError):
                if child.is_alive():
                    os.kill(child.pid, number)
        patience = time.monotonic() + seconds
        while _any_lives(lives, left) and time.monotonic() < patience:  # noqa: ASYNC110 - a stranger's end sets no event
            await asyncio.sleep(0.01)
    return not lives()


def _any_lives(parent: Callable[[], bool], children: Sequence[Identity]) -> bool:
    return parent() or any(child.is_alive() for child in children)
