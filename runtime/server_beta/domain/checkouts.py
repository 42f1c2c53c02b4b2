"""What the files of git say about a checkout: the address of its remote, and that address as a project's key.

A client's hook reads the same files in its own code; both must come to the same key.
"""

from __future__ import annotations

from collections.abc import Iterator

from .projects import short_key
from .text import cap, scrub

_MAX_KEY_CHARACTERS = 4096
_COMMENTS = (" #", " ;", "\t#", "\t;")


def remote_key(config: str) -> str | None:
    """Make the key of the repository whose git configuration this is; None when it has no remote elsewhere."""
    remote = normalised_remote(_remote_url(config))
    return short_key(cap(scrub(f"git:{remote}"), _MAX_KEY_CHARACTERS).strip()) if remote else None


def normalised_remote(url: str) -> str:
    """Write every way to address one repository alike: `host/owner/name`; "" for a path of this machine."""
    scheme, is_url, rest = url.strip().partition("://")
    if is_url:
        authority, _, path = rest.partition("/")
        if scheme.lower() == "file":
            return ""
    else:
        authority, is_scp, path = url.strip().partition(":")
        # A slash before the colon is a path's; a single letter before it is a drive's.
        if not is_scp or "/" in authority or len(authority) < 2:
            return ""
    host = _host(authority.rpartition("@")[2])
    path = path.partition("?")[0].partition("#")[0].strip("/")
    if path.endswith(".git"):
        path = path[: -len(".git")].rstrip("/")
    return f"{host}/{path}" if host and path else ""


def linked_folder(dot_git: str) -> str:
    """Read the folder that a `.git` file of a worktree or a submodule leads to; "" when it says none."""
    return dot_git.partition("gitdir:")[2].strip()


def _host(authority: str) -> str:
    if authority.startswith("["):
        return authority.partition("]")[0].lower() + "]"
    return authority.partition(":")[0].lower()


def _remote_url(config: str) -> str:
    """Find the address of `origin`, else of the first remote that has one."""
    first = ""
    for name, url in _remotes(config):
        if name == "origin":
            return url
        first = first or url
    return first


def _remotes(config: str) -> Iterator[tuple[str, str]]:
    remote = ""
    for line in map(str.strip, config.splitlines()):
        if line.startswith("["):
            section, _, name = line[1:].partition("]")[0].partition(" ")
            remote = name.strip().strip('"') if section.lower() == "remote" else ""
        elif remote and not line.startswith(("#", ";")):
            name, is_assigned, value = line.partition("=")
            if is_assigned and name.strip().lower() == "url":
                yield remote, _value(value.strip())


def _value(text: str) -> str:
    if text.startswith('"'):
        return text[1:].partition('"')[0]
    for comment in _COMMENTS:
        text = text.partition(comment)[0]
    return text.strip()
