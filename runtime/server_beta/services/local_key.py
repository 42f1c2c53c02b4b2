"""The files of the local key: the key that hooks, command line and MCP on this machine send, and whose it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from ..domain.api_keys import is_well_formed
from ..domain.errors import StartRefused
from ..domain.ids import new_id

KEY_FILE = ".server-beta.key"
_INSTALLATION_FILE = ".server-beta.installation"


@dataclass(frozen=True, slots=True)
class LocalKey:
    """The local key of one data folder."""

    data_dir: Path

    def read(self) -> str | None:
        """Return the key; None when the file holds none."""
        text = self._text(KEY_FILE)
        return text if text is not None and is_well_formed(text) else None

    def write(self, key: str) -> None:
        """Replace the key; raises StartRefused when the file cannot be written."""
        with self.staged(key):
            pass

    @contextmanager
    def staged(self, key: str) -> Iterator[None]:
        """Write the key beside the file, and put it in the file's place when the block ends well.

        Raises StartRefused at the beginning when it cannot be written.
        """
        with self._replacing(KEY_FILE, key):
            yield

    def installation_id(self) -> UUID | None:
        """Return what the store knows this data folder by; None before it was identified."""
        with suppress(ValueError):
            return UUID(self._text(_INSTALLATION_FILE) or "")
        return None

    def identify(self) -> UUID:
        """Return the same, at the first time made. Its callers take turns at the database."""
        known = self.installation_id()
        if known is not None:
            return known
        made = new_id()
        with self._replacing(_INSTALLATION_FILE, str(made)):
            pass
        return made

    def _text(self, name: str) -> str | None:
        with suppress(OSError, UnicodeDecodeError):
            return self.data_dir.joinpath(name).read_text("ascii").strip()
        return None

    @contextmanager
    def _replacing(self, name: str, text: str) -> Iterator[None]:
        path = self.data_dir / name
        temporary = path.with_name(f"{name}.tmp-{os.getpid()}")
        with _refused(path):
            _write(temporary, text)
        try:
            yield
            with _refused(path):
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartRefused(f"The file {path} cannot be written: {error.strerror}.") from error
