"""The lock that makes one process the runtime of a data folder.

The lock is an flock, which the kernel gives up when its process ends, however it ends; the file is never removed. The
holder writes its identity into the file, so that others learn who holds it without trusting any other file.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .identity import ProcessIdentity, is_alive

_RECORD_BYTES = 512
_PATIENCE_SECONDS = 2.0
_UNWRITTEN_SECONDS = 0.5
_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Free:
    """Nobody holds the lock."""


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody holds the lock: the living process that wrote itself into the file, or None when that is not proved."""

    holder: ProcessIdentity | None
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock that this process holds; nothing gives it up but the end of the process."""

    descriptor: int
    owner: ProcessIdentity

    def tell(self, *, is_stopping: bool) -> None:
        """Write into the file who holds the lock, and whether it has been asked to stop."""
        record = {"pid": self.owner.pid, "startToken": self.owner.start_token, "stopping": is_stopping}
        # Of one length always, so that one write replaces it and nobody reads half of it.
        os.pwrite(self.descriptor, json.dumps(record).encode().ljust(_RECORD_BYTES), 0)
        os.ftruncate(self.descriptor, _RECORD_BYTES)


def acquire(path: Path, owner: ProcessIdentity) -> Lock | Held:
    """Take the lock for the life of this process and write `owner` into the file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not _try(descriptor, fcntl.LOCK_EX):
        # Most often somebody who only looks whether the lock is free, or who has not yet written its identity.
        held = _held(descriptor)
        if held.holder is not None or time.monotonic() >= deadline:
            os.close(descriptor)
            return held
        time.sleep(_PAUSE_SECONDS)
    os.fchmod(descriptor, 0o600)
    lock = Lock(descriptor, owner)
    lock.tell(is_stopping=False)
    return lock


def look(path: Path) -> Free | Held:
    """See who holds the lock, without taking it from anyone; a holder that has just taken it gets time to say so."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return Free()
    try:
        deadline = time.monotonic() + _UNWRITTEN_SECONDS
        while not _try(descriptor, fcntl.LOCK_SH):
            held = _held(descriptor)
            if held.holder is not None or time.monotonic() >= deadline:
                return held
            time.sleep(_PAUSE_SECONDS)
        return Free()
    finally:
        os.close(descriptor)


def is_held_by(path: Path, process: ProcessIdentity) -> bool:
    """Tell whether this very process holds the lock."""
    match look(path):
        case Held(holder):
            return holder == process
        case Free():
            return False


@contextmanager
def turn(path: Path, patience_seconds: float) -> Iterator[None]:
    """Wait for a turn at an existing file, so that two stops do not signal one process twice."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield
        return
    try:
        deadline = time.monotonic() + patience_seconds
        while not _try(descriptor, fcntl.LOCK_EX) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(descriptor: int) -> Held:
    try:
        record = json.loads(os.pread(descriptor, _RECORD_BYTES, 0))
        holder = ProcessIdentity(int(record["pid"]), str(record["startToken"]))
        is_stopping = record.get("stopping") is True
    except (ValueError, TypeError, KeyError, AttributeError):
        return Held(None)
    return Held(holder, is_stopping) if is_alive(holder) else Held(None)
