"""Which project an event belongs to, and paths as that project names them."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from .ids import digest

# A project's key is part of an index: a longer one keeps its beginning and the digest of the whole.
_MAX_KEY_CHARACTERS = 400
_KEPT_OF_LONG_KEY = 300
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class ProjectRef:
    """A project as a client names it: the stable key, a name for people, and the root of this checkout when known."""

    key: str
    name: str
    root: str | None = None


def project_of_folder(folder: str) -> ProjectRef:
    """Name the project of a client that sent only its working folder; an empty folder is a project of its own."""
    if not folder:
        return ProjectRef("path:unknown", "unknown project")
    root = _normalised(folder)
    key = f"path:{hashlib.sha256(root.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    return ProjectRef(key, posixpath.basename(root) or root, root)


def short_key(key: str) -> str:
    """Bring a key that a client sent to the length that is stored; a short one stays as it is."""
    return key if len(key) <= _MAX_KEY_CHARACTERS else f"{key[:_KEPT_OF_LONG_KEY]}~{digest(key)[:32]}"


def name_from_key(key: str) -> str:
    """Make a display name for a project whose client sent none: the last part of its key."""
    return key.rpartition("/")[2].rpartition(":")[2] or key


def relative_to_root(path: str, root: str | None) -> str:
    """Give a path as the project names it; one outside the root stays as it is."""
    normalised = _normalised(path)
    if root is None:
        return normalised
    top = _normalised(root).rstrip("/")
    if normalised == top:
        return "."
    return normalised[len(top) + 1 :] if normalised.startswith(top + "/") else normalised


def is_excluded(root: str, patterns: Iterable[str], home: str) -> bool:
    """Whether a glob in `patterns` names this folder or one above it; `~` stands for `home`."""
    folder = _normalised(root)
    ancestry = [folder]
    while (parent := posixpath.dirname(ancestry[-1])) != ancestry[-1]:
        ancestry.append(parent)
    globs = [
        _normalised(home + glob[1:] if glob == "~" or glob.startswith("~/") else glob) for glob in patterns if glob
    ]
    return any(fnmatchcase(ancestor, glob) for glob in globs for ancestor in ancestry if ancestor)


def _normalised(path: str) -> str:
    if _DRIVE.match(path) or path.startswith("\\\\"):
        path = path.replace("\\", "/")
    return posixpath.normpath(path) if path else "."
