"""Find the embedded Postgres that another process runs, as a command finds that of the running server."""

from __future__ import annotations

from pathlib import Path

from .leftover import PostmasterFile
from .passwords import Passwords
from .provision import role_dsn
from .sockets import answers


def running_dsn(data_dir: Path) -> str | None:
    """Return the DSN of the server that runs in `<data_dir>/postgres`; None when none is ready there."""
    home = data_dir.absolute() / "postgres"
    server = PostmasterFile.read(home / "cluster")
    if server is None or not server.is_ready or not answers(server.socket_folder, server.port):
        return None
    return role_dsn(Path(server.socket_folder), Passwords.load(home / "passwords.json"))
