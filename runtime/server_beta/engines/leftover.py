"""Deal with what an earlier server left behind: a Postgres that still runs, or its file that says so.

Only a process that is proven to be the recorded one is signalled: its number may belong to anybody by now.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..domain.errors import EngineFailed
from .processes import Identity, end_stranger
from .sockets import answers


@dataclass(frozen=True, slots=True)
class PostmasterFile:
    """What `postmaster.pid` says: eight lines, the last one follows when the server is there for clients."""

    pid: int
    port: str
    socket_folder: str
    is_ready: bool

    @classmethod
    def read(cls, cluster: Path) -> Self | None:
        """Read it; None when it is not there or not written yet."""
        try:
            lines = [*(cluster / "postmaster.pid").read_text("utf-8", "replace").splitlines(), *[""] * 8]
            # A server in single-user mode writes its number negative.
            return cls(abs(int(lines[0])), lines[3].strip(), lines[4].strip(), lines[7].strip() == "ready")
        except (OSError, ValueError):
            return None


async def clear_leftover(cluster: Path, record: Path) -> None:
    """Shut down our own server of an earlier life, and set aside a file that names somebody else's process."""
    recorded = Identity.load(record)
    if recorded is not None and not await end_stranger(recorded):
        raise EngineFailed(
            f"An embedded Postgres of an earlier start (process {recorded.pid}) does not end; stop it and start again."
        )
    left = PostmasterFile.read(cluster)
    if left is None or not _exists(left.pid):
        return
    if left.socket_folder and answers(left.socket_folder, left.port):
        raise EngineFailed(f"Another Postgres (process {left.pid}) works on {cluster}; stop it and start again.")
    # Postgres would take that process for its own and refuse to start. Should one be at work all the same, it is found
    # by its shared memory, whose key comes from the folder.
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
