"""Which project a folder belongs to, read from the files of git; looked up once a session."""

from __future__ import annotations

import os

from .event import percent_encoded
from .folders import read_small

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_CONFIG_MAX_BYTES = 1 << 20


class Project:
    """A project's stable key, a name for people, the top of this checkout and of the one it is a worktree of."""

    __slots__ = ("key", "main_root", "name", "root")

    def __init__(self, key: str, name: str, root: str, main_root: str) -> None:
        self.key = key
        self.name = name
        self.root = root
        self.main_root = main_root


def find_project(folder: str) -> Project:
    """Identify a folder's project: by the remote address of its repository, else by the path of its top folder."""
    root = _git_top(folder)
    if root is None:
        top = os.path.realpath(folder)
        return Project(_path_key(top), _folder_name(top), top, top)
    common = _common_folder(root)
    # `<top>/.git` for a usual repository; a bare one stands for itself.
    main_root = os.path.dirname(common) if os.path.basename(common) == ".git" else common
    remote = normalised_remote(_remote_url(common))
    if remote:
        return Project("git:" + percent_encoded(remote), remote.rpartition("/")[2], root, main_root)
    if not os.path.isdir(os.path.join(root, ".git")) and common == _git_folder(root):
        main_root = root  # a submodule: its git folder lies inside another repository's
    return Project(_path_key(os.path.realpath(main_root)), _folder_name(main_root), root, main_root)


def normalised_remote(url: str) -> str:
    """Write every way to address one repository alike: `host/owner/name`; "" for a path of this machine."""
    url = url.strip()
    scheme, separator, rest = url.partition("://")
    if separator:
        if scheme.lower() == "file":
            return ""
        authority, _, path = rest.partition("/")
    else:
        authority, colon, path = url.partition(":")
        if not colon or "/" in authority or len(authority) < 2:
            return ""
    authority = authority.rpartition("@")[2]
    host = authority.partition("]")[0] + "]" if authority.startswith("[") else authority.partition(":")[0]
    path = path.partition("?")[0].partition("#")[0].strip("/")
    if path.endswith(".git"):
        path = path[:-4].rstrip("/")
    return f"{host.lower()}/{path}" if host and path else ""


def _git_top(folder: str) -> str | None:
    current = os.path.realpath(folder)
    while not os.path.exists(os.path.join(current, ".git")):
        parent = os.path.dirname(current)
        if parent == current:
            return None
        current = parent
    return current


def _git_folder(root: str) -> str:
    """Find the folder behind `.git`, which is a file with a path in worktrees and submodules."""
    path = os.path.join(root, ".git")
    if os.path.isdir(path):
        return path
    target = read_small(path).partition("gitdir:")[2].strip()
    return os.path.realpath(os.path.join(root, target)) if target else path


def _common_folder(root: str) -> str:
    """Find the git folder that all worktrees of a repository share."""
    own = _git_folder(root)
    shared = read_small(os.path.join(own, "commondir"))
    return os.path.realpath(os.path.join(own, shared)) if shared else own


def _remote_url(git_folder: str) -> str:
    """Give the address of `origin`, else of the first remote that has one."""
    first = ""
    for name, url in _remotes(read_small(os.path.join(git_folder, "config"), _CONFIG_MAX_BYTES)):
        if name == "origin":
            return url
        first = first or url
    return first


def _remotes(config: str) -> Iterator[tuple[str, str]]:
    remote = ""
    for line in config.splitlines():
        line = line.strip()
        if line.startswith("["):
            section, _, name = line[1:].partition("]")[0].partition(" ")
            remote = name.strip().strip('"') if section.lower() == "remote" else ""
        elif remote and not line.startswith(("#", ";")):
            key, equals, value = line.partition("=")
            if equals and key.strip().lower() == "url":
                yield remote, _value(value)


def _value(text: str) -> str:
    text = text.strip()
    if text.startswith('"'):
        return text[1:].partition('"')[0]
    for comment in (" #", " ;", "\t#", "\t;"):
        text = text.partition(comment)[0]
    return text.strip()


def _path_key(top: str) -> str:
    import hashlib

    return "path:" + hashlib.sha256(os.fsencode(top)).hexdigest()[:32]


def _folder_name(top: str) -> str:
    return os.path.basename(top) or top
