"""The log of a detached runtime: private, and bounded to two files of about 5 MB."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

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
        with path.open("rb") as file:
            return [_text(line) for line in deque(file, maxlen=count)]
    except FileNotFoundError:
        return []


def follow(path: Path, count: int) -> Iterator[str]:
    """Yield the last `count` lines and then every new one, across rotations; never ends by itself."""
    wanted: int | None = count
    while True:
        with suppress(FileNotFoundError), path.open("rb") as file:
            yield from map(_text, deque(file, maxlen=wanted))
            while _is_still(path, file):
                yield from _new_lines(file)
                time.sleep(_PAUSE_SECONDS)
            yield from _new_lines(file)
        wanted = None  # whatever comes in another file is new
        time.sleep(_PAUSE_SECONDS)


def _new_lines(file: BinaryIO) -> Iterator[str]:
    start = file.tell()
    while (line := file.readline()).endswith(b"\n"):
        start = file.tell()
        yield _text(line)
    file.seek(start)  # a line that is not whole is read again


def _is_still(path: Path, file: BinaryIO) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return False
    return now.st_ino == os.fstat(file.fileno()).st_ino and now.st_size >= file.tell()


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\n")
