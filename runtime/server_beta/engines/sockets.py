"""Choose the folder of the server's Unix socket: 0700, and short enough for the system's limit."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
import stat
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..domain.errors import EngineFailed
from .accounts import Account

PORT = 5432

# A length and a code of the protocol: the question whether there is TLS. A server says yes or no before it wants to
# know who asks, also while it starts or has no place left.
_TLS_REQUEST = struct.pack("!ii", 8, 80877103)

# A comma separates hosts in a connection string and folders in Postgres' setting; other bytes are not worth the risk.
_PLAIN = re.compile(r"[\w./ ~@-]+", re.ASCII)


def open_socket_folder(home: Path, account: Account) -> Path:
    """Make the folder below `home` where it can hold a socket, else a private one in a folder for temporary files.

    Call it when no server runs: what a killed one has left in the folder would keep the next from starting.
    """
    folder = _choose_folder(home, account)
    for left in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (folder / left).unlink(missing_ok=True)
    return folder


def _choose_folder(home: Path, account: Account) -> Path:
    folder = home / "socket"
    folder.mkdir(mode=0o700, exist_ok=True)
    account.give(folder)
    if _PLAIN.fullmatch(str(folder)) and _holds_socket(folder):
        return folder
    name = f"claude-mem-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
    for parent in _temporary_folders():
        folder = parent / name
        _make_private(folder, account)
        if _holds_socket(folder):
            return folder
    raise EngineFailed(f"No folder can hold the socket of the embedded Postgres: the path {home} is too long for it.")


def close_socket_folder(folder: Path, home: Path) -> None:
    """Remove the folder that was made outside of `home`, unless a server's socket is still in it."""
    if folder.parent != home:
        try:
            folder.rmdir()
        except OSError:
            return


async def is_silent(folder: Path, seconds: float) -> bool:
    """Whether a server is there and says nothing for as long; false also where none is."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{PORT}")
            try:
                writer.write(_TLS_REQUEST)
                await reader.read(1)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


def answers(folder: str, port: str) -> bool:
    """Whether some process accepts connections on the socket in a folder."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(f"{folder}/.s.PGSQL.{port}")
        except OSError:
            return False
        return True


def _temporary_folders() -> Iterator[Path]:
    yield Path(f"/run/user/{os.geteuid()}")
    yield Path(tempfile.gettempdir())
    yield Path("/tmp")


def _make_private(folder: Path, account: Account) -> None:
    try:
        folder.mkdir(mode=0o700)
        account.give(folder)
    except FileExistsError:
        pass
    except OSError:
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != account.uid or stat.S_IMODE(found.st_mode) != 0o700:
        raise EngineFailed(f"{folder} is not a private folder of this user; remove it and start again.")


def _holds_socket(folder: Path) -> bool:
    """Try it: the limit differs between systems, and some shared or network folders take no socket at all."""
    probe = folder / f".t.PGSQL.{PORT}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            probe.unlink(missing_ok=True)
            server.bind(str(probe))
            probe.unlink()
        except OSError:
            return False
    return True
