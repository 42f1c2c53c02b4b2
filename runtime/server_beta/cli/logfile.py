"""The log of a detached runtime: private, and bounded to two files of about 5 MB."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 5_000_000
_PAUSE_SECONDS = 0.2


def open_for_append(path: Path) -> int:
    """Open the log, readable by this user only; returns the descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def rotate_own_output(path: Path) -> None:
    """Move a log that has grown too large aside and send this process's output to a new one.

    Only the process that writes the log, which holds the lock, may do this.
    """
    if os.fstat(1).st_size <= MAX_BYTES:
        return
    path.replace(path.with_name(f"{path.name}.1"))
    descriptor = open_for_append(path)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def tail(path: Path, count: int) -> list[str]:
    """Read the last `count` lines; none when there is no log yet."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]
    except FileNotFoundError:
        return []


def follow(path: Path) -> Iterator[str]:
    """Yield the lines that are written from now on, across rotations; never ends by itself."""
    position = path.stat().st_size if path.exists() else 0
    inode = path.stat().st_ino if path.exists() else 0
    while True:
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                now = os.fstat(file.fileno())
                if now.st_ino != inode or now.st_size < position:
                    inode, position = now.st_ino, 0
                file.seek(position)
                while (line := file.readline()).endswith("\n"):
                    position = file.tell()
                    yield line.rstrip("\n")
        time.sleep(_PAUSE_SECONDS)
