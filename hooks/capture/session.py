"""`<data>/sessions/<session id>`: a session's project, found once and read by every later hook of the session."""

from __future__ import annotations

import os

from .folders import make_private, read_small, write_private

_SESSION_MAX_BYTES = 64 * 1024
_SESSION_NAME_MAX_CHARACTERS = 128


class Session:
    """The project's fields as headers carry them (percent-encoded), and the trouble already told to the user."""

    __slots__ = ("key", "main_root", "name", "notice", "root")

    def __init__(self, key: str, name: str, root: str, main_root: str, notice: str = "") -> None:
        self.key = key
        self.name = name
        self.root = root
        self.main_root = main_root
        self.notice = notice

    @property
    def folders(self) -> tuple[str, str]:
        """The top of this checkout, and of the one it is a worktree of."""
        from .event import percent_decoded

        return percent_decoded(self.root), percent_decoded(self.main_root)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What tells the runtime the project of an event."""
        return [
            ("X-Claude-Mem-Project", self.key),
            ("X-Claude-Mem-Project-Name", self.name),
            ("X-Claude-Mem-Project-Root", self.root),
        ]


def find_session(data_dir: str, session_id: str, folder: str, afresh: bool) -> Session:
    """Read what is known of the session; look its project up when nothing is, or again when it starts `afresh`."""
    path = _path(data_dir, session_id)
    known = _read(path) if path else None
    if known is not None and not afresh:
        return known
    from .event import percent_encoded
    from .project import find_project

    project = find_project(folder)
    session = Session(
        project.key,
        percent_encoded(project.name),
        percent_encoded(project.root),
        percent_encoded(project.main_root),
        known.notice if known else "",
    )
    save_session(data_dir, session_id, session)
    return session


def save_session(data_dir: str, session_id: str, session: Session) -> None:
    """Keep the session's project for its later hooks; where nothing can be written, each of them looks it up."""
    path = _path(data_dir, session_id)
    if not path:
        return
    lines = (session.key, session.name, session.root, session.main_root, session.notice)
    try:
        make_private(data_dir, "sessions")
        write_private(path, "\n".join(lines).encode("ascii", "replace"))
    except OSError:
        return


def _path(data_dir: str, session_id: str) -> str:
    plain = session_id.replace("-", "").replace("_", "")
    if not data_dir or not (plain.isascii() and plain.isalnum()) or len(session_id) > _SESSION_NAME_MAX_CHARACTERS:
        return ""
    return os.path.join(data_dir, "sessions", session_id)


def _read(path: str) -> Session | None:
    lines = read_small(path, _SESSION_MAX_BYTES).split("\n")
    if len(lines) < 4 or not lines[0]:
        return None
    key, name, root, main_root, *rest = lines
    return Session(key, name, root, main_root, rest[0] if rest else "")
