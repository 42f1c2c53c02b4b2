"""The token that lets this user's own programs in: made once, kept in the data folder for this user alone."""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..domain.errors import Forbidden, StartRefused, Unauthorized

TOKEN_FILE = ".worker.token"
_BYTES = 32
_SHORTEST = 32


@dataclass(frozen=True, slots=True)
class LocalToken:
    """Knows the one token there is."""

    token: str

    def admit(self, presented: str | None) -> None:
        """Raise Unauthorized without a token and Forbidden for any other one, in constant time."""
        if not presented:
            raise Unauthorized
        if not hmac.compare_digest(presented.encode("utf-8", "surrogateescape"), self.token.encode()):
            raise Forbidden


def ensure_token(data_dir: Path) -> LocalToken:
    """Read the token, or make it where there is none that can be used; the caller holds the data folder's lock.

    Raises StartRefused when the file cannot be written.
    """
    path = data_dir / TOKEN_FILE
    token = _read(path)
    if token is None:
        token = secrets.token_urlsafe(_BYTES)
        _write(path, token)
    return LocalToken(token)


def _read(path: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        # Others may have read it while its mode was open to them; such a token is replaced, not kept.
        if path.is_symlink() or path.stat().st_mode & 0o077:
            return None
        text = path.read_text("ascii").strip()
        if len(text) >= _SHORTEST and text.isprintable() and " " not in text:
            return text
    return None


def _write(path: Path, token: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(token + "\n")
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except OSError as error:
        raise StartRefused(f"The token file {path} cannot be written: {error.strerror}.") from error
