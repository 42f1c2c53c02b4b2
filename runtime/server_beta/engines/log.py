"""The engine's log: one file, bounded, without statements or values."""

from __future__ import annotations

import os
import re
from pathlib import Path

_KEPT_BYTES = 1 << 20
_MAX_BYTES = 4 << 20

_SEVERE = re.compile(r"(?:FATAL|PANIC|error|\Apostgres):\s*(?P<what>.+)")


class Log:
    """The file that an engine writes its messages to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Appending makes it safe to cut the file while the engine writes: it goes on at the new end.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        self._opened = os.open(path, flags, 0o600)
        self._begin = 0

    def fileno(self) -> int:
        """Return the descriptor that the engine inherits."""
        return self._opened

    def mark(self) -> None:
        """Remember that another attempt begins here."""
        self._begin = os.fstat(self._opened).st_size

    def reason(self) -> str:
        """Say in a few words why the engine has ended, from what it wrote since the mark."""
        with self.path.open("rb") as file:
            file.seek(min(self._begin, os.fstat(file.fileno()).st_size))
            lines = file.read(_KEPT_BYTES).decode("utf-8", "replace").splitlines()
        severe = [match["what"].strip() for line in lines if (match := _SEVERE.search(line))]
        if any("No space left on device" in line for line in lines):
            return "the disk is full"
        return severe[0] if severe else "it gave no reason"

    def trim(self) -> None:
        """Keep the last part when the file has grown too large: one call of a loop, see EmbeddedPostgres."""
        size = os.fstat(self._opened).st_size
        if size <= _MAX_BYTES:
            return
        with self.path.open("rb") as file:
            file.seek(size - _KEPT_BYTES)
            recent = file.read(_KEPT_BYTES).partition(b"\n")[2]
        self.path.open("wb").close()
        os.write(self._opened, recent)
        self._begin = 0

    def close(self) -> None:
        """Release the descriptor; the engine keeps its own."""
        os.close(self._opened)
