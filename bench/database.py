"""How to connect to the embedded Postgres of a server under test, beside it."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote


def dsn_of(data_dir: Path) -> str:
    """Read where the server's Postgres listens and what its role's password is."""
    postgres = data_dir / "postgres"
    # Line 5 of the file is the socket's folder (Postgres manual, "Database File Layout").
    socket_folder = (postgres / "cluster" / "postmaster.pid").read_text("utf-8").splitlines()[4]
    password = json.loads((postgres / "passwords.json").read_text("utf-8"))["role"]
    return f"postgresql://claude_mem:{password}@/claude_mem?host={quote(socket_folder, safe='')}"
