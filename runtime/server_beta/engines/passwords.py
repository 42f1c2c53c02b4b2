"""The passwords of the embedded server: random, made once, kept in one private file."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from ..domain.errors import EngineFailed
from .private_file import write_private


@dataclass(frozen=True, slots=True)
class Passwords:
    """Of the superuser, who only prepares the database, and of the role that owns it."""

    superuser: str = field(repr=False)
    role: str = field(repr=False)

    @classmethod
    def make(cls, path: Path) -> Self:
        """Make new ones and keep them, before there is a cluster that asks for them."""
        made = cls(secrets.token_hex(32), secrets.token_hex(32))
        write_private(path, json.dumps(asdict(made)))
        return made

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read them; raises EngineFailed when they are lost."""
        try:
            saved = json.loads(path.read_text("utf-8"))
            return cls(str(saved["superuser"]), str(saved["role"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineFailed(
                f"The passwords of the embedded database cannot be read from {path}; restore that file from a backup, "
                f"or move {path.parent} away to begin with an empty memory."
            ) from error
