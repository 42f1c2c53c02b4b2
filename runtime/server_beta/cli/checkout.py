"""Which project a folder of this machine belongs to: the key that the client's hook sends for it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..domain.checkouts import linked_folder, remote_key
from ..domain.text import scrub

_SMALL_BYTES = 4096
_CONFIG_BYTES = 1 << 20


def project_key(folder: Path) -> str:
    """Name a folder's project by the remote of its repository, else by the path of its top folder."""
    real = Path(os.path.realpath(folder))
    top = next((above for above in (real, *real.parents) if _is_there(above / ".git")), None)
    if top is None:
        return _path_key(real)
    own = _git_folder(top)
    common = _common_folder(own)
    key = remote_key(_text(common / "config", _CONFIG_BYTES))
    if key is not None:
        return key
    # The git folder of a submodule lies inside another repository's, and is nobody else's.
    is_submodule = common == own and not (top / ".git").is_dir()
    main = top if is_submodule else common.parent if common.name == ".git" else common
    return _path_key(Path(os.path.realpath(main)))


def _git_folder(top: Path) -> Path:
    dot_git = top / ".git"
    if dot_git.is_dir():
        return dot_git
    target = linked_folder(_text(dot_git, _SMALL_BYTES))
    return Path(os.path.realpath(top / target)) if target else dot_git


def _common_folder(own: Path) -> Path:
    """Find the git folder that all worktrees of a repository share."""
    shared = _text(own / "commondir", _SMALL_BYTES)
    return Path(os.path.realpath(own / shared)) if shared else own


def _path_key(top: Path) -> str:
    return f"path:{hashlib.sha256(os.fsencode(top)).hexdigest()[:32]}"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that this user may not look into
        return False


def _text(path: Path, limit: int) -> str:
    try:
        with path.open("rb", 0) as file:
            return scrub(file.read(limit).decode("utf-8", "replace").strip())  # no path may hold a NUL
    except OSError:
        return ""
