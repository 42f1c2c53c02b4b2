"""What a starting process tells the `start` that waits for it: one JSON line through a pipe."""

from __future__ import annotations

import json
import os
import select
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import assert_never

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Ready:
    """The server answers requests."""

    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The server will not start; the message is a sentence for people."""

    message: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Another process holds the lock."""


@dataclass(frozen=True, slots=True)
class Silent:
    """The process ended without a word."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The deadline passed without a word."""


Word = Ready | Failed | Busy


class Pipe:
    """The writing end of the pipe: takes one word and is closed; a later word goes nowhere."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # a child of ours must not keep the waiting `start` from seeing our end
        self._descriptor: int | None = descriptor

    def say(self, word: Word) -> None:
        """Tell the waiting `start`; it does not matter when nobody waits any more."""
        # The number of a closed descriptor comes to mean another file, so it is forgotten at once.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError), os.fdopen(descriptor, "wb", buffering=0) as pipe:
                pipe.write(json.dumps(_line(word)).encode() + b"\n")


def receive(descriptor: int, deadline: float) -> Word | Silent | TimedOut:
    """Wait for the word of the starting process until `deadline` (monotonic seconds)."""
    received = b""
    while b"\n" not in received:
        readable, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        if not readable:
            return TimedOut()
        chunk = os.read(descriptor, _CHUNK_BYTES)
        if not chunk:
            return Silent()
        received += chunk
    match json.loads(received):
        case {"status": "ready", "pid": int(pid), "port": int(port)}:
            return Ready(pid, port)
        case {"status": "busy"}:
            return Busy()
        case line:
            return Failed(str(line["message"]))


def _line(word: Word) -> dict[str, object]:
    match word:
        case Ready(pid, port):
            return {"status": "ready", "pid": pid, "port": port}
        case Failed(message):
            return {"status": "failed", "message": message}
        case Busy():
            return {"status": "busy"}
        case _ as unreachable:
            assert_never(unreachable)
