"""Name the program that holds a port, so that a person knows what to end."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from . import state
from .health import Speaker, ask_identity

_LISTENING = "0A"


def is_taken(error: BaseException) -> bool:
    """Tell whether a bind failed because another process holds the port."""
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def describe(folder: state.StateFolder, host: str, port: int) -> str:
    """Say who listens on the port, as exactly as it can be found out."""
    speaker = ask_identity(state.reachable(host), port)
    if speaker is not None:
        return _describe_claude_mem(folder, speaker)
    return next(_listeners(port), "another program")


def _describe_claude_mem(folder: state.StateFolder, speaker: Speaker) -> str:
    process = f"claude-mem {speaker.runtime}" + ("" if speaker.pid is None else f" (pid {speaker.pid})")
    ours = state.read(state.StateFolder(folder.root, speaker.runtime))
    if ours is not None and ours.process.pid == speaker.pid:
        return f"the {process} of this data folder"
    return f"a {process} with another data folder"


def _listeners(port: int) -> Iterator[str]:
    # Linux only; elsewhere there is no /proc and nothing is found. Other users' processes show nothing either.
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return
    for process in Path("/proc").glob("[0-9]*"):
        if not sockets.isdisjoint(_open_files(process)):
            yield f"{_command_name(process)} (pid {process.name})"


def _open_files(process: Path) -> Iterator[str]:
    try:
        links = list((process / "fd").iterdir())
    except OSError:
        return
    for link in links:
        with suppress(OSError):  # closed since
            yield str(link.readlink())


def _command_name(process: Path) -> str:
    try:
        name = (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "a program"
    return name if name.isprintable() else "a program"  # a terminal must not act on what a process calls itself


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]
