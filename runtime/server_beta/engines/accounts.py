"""Decide which system account runs Postgres: our own, or as root (which Postgres refuses) an unprivileged one.

No account is made and no permission outside our folder is changed. Where the unprivileged account cannot reach the
cluster or the programs (root's home is closed to it), the process keeps one capability: to look past file permissions.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ..domain.errors import EngineFailed

# Numbers that neither distributions nor systemd give to anybody (systemd, docs/UIDS-GIDS.md).
_UNUSED_IDS = range(65533, 65519, -1)

# From linux/capability.h: the first reads and traverses everything, the second also writes and executes.
_CAP_DAC_READ_SEARCH = 2
_CAP_DAC_OVERRIDE = 1

_OTHERWISE = "start claude-mem as an ordinary user, or set CLAUDE_MEM_SERVER_DATABASE_URL to a Postgres of your own."


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that a process runs under, and the capability that it keeps."""

    uid: int
    gid: int
    capability: int | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this process runs under that account already."""
        return self.uid == os.geteuid()

    def reaching(self, own: Path, programs: Iterable[Path], folders: Iterable[Path]) -> Self:
        """Add the capability that it takes to come to its own folder, execute programs and read folders, if any."""
        if self.is_ours:
            return self
        programs, folders = tuple(programs), tuple(folders)
        parents = {parent for path in (own, *programs, *folders) for parent in path.parents}
        if not all(self._may(stat.S_IXOTH, program) for program in programs):
            return replace(self, capability=_held(_CAP_DAC_OVERRIDE))
        if all(self._may(stat.S_IXOTH, parent) for parent in parents) and all(
            self._may(stat.S_IROTH | stat.S_IXOTH, folder) for folder in folders
        ):
            return self
        return replace(self, capability=_held(_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE))

    def give(self, path: Path) -> None:
        """Make the account the owner of one file or folder of ours."""
        if self.is_ours:
            return
        try:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        except PermissionError as error:
            raise EngineFailed(
                f"Postgres does not run as root, and this process may not give {path} to another user "
                f"(it lacks CAP_CHOWN); {_OTHERWISE}"
            ) from error

    def take_over(self, folder: Path, previous: Account) -> None:
        """Make the account the owner of all that another one has made in a folder, without following links."""
        for _, names, files, opened in os.fwalk(folder, follow_symlinks=False):
            for name in (*names, *files):
                # A hard link to somebody else's file would have somebody else's owner.
                if os.stat(name, dir_fd=opened, follow_symlinks=False).st_uid == previous.uid:
                    os.chown(name, self.uid, self.gid, dir_fd=opened, follow_symlinks=False)
        self.give(folder)

    def _may(self, bits: int, path: Path) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return (found.st_mode >> shift) & bits == bits


def server_account(cluster: Path) -> Account:
    """Choose who runs the server: whoever owns the cluster, and for a new one this user or an unused number."""
    us = os.geteuid()
    owner = cluster.stat() if cluster.exists() else None
    if us != 0:
        if owner is not None and owner.st_uid != us:
            raise EngineFailed(
                f"{cluster} belongs to user {owner.st_uid}, not to you; start claude-mem as that user "
                "or set CLAUDE_MEM_DATA_DIR to a folder of your own."
            )
        return Account(us, os.getegid())
    if owner is None:
        return _unused_account()
    if owner.st_uid == 0:
        unused = _unused_account()
        raise EngineFailed(
            f"{cluster} belongs to root, and Postgres does not run as root; "
            f"run: chown -R {unused.uid}:{unused.gid} {cluster}"
        )
    return Account(owner.st_uid, owner.st_gid)


def named_account(server: Account) -> Account:
    """Choose who runs initdb, which insists on an account that has a name."""
    if server.is_ours or _is_named(server.uid):
        return server
    entries = sorted(pwd.getpwall(), key=lambda entry: entry.pw_name != "nobody")
    for entry in entries:
        if entry.pw_uid != 0 and _are_mapped(entry.pw_uid, entry.pw_gid):
            return Account(entry.pw_uid, entry.pw_gid)
    raise EngineFailed(f"Postgres does not run as root, and this system has no other account; {_OTHERWISE}")


def _unused_account() -> Account:
    for number in _UNUSED_IDS:
        if _are_mapped(number, number) and not _is_named(number):
            return Account(number, number)
    raise EngineFailed(f"Postgres does not run as root, and this container has no other user; {_OTHERWISE}")


def _is_named(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _are_mapped(uid: int, gid: int) -> bool:
    """Whether the numbers exist in this user namespace (a rootless container may know root alone)."""
    return _is_in_map(uid, Path("/proc/self/uid_map")) and _is_in_map(gid, Path("/proc/self/gid_map"))


def _is_in_map(number: int, listed: Path) -> bool:
    try:
        lines = listed.read_text("ascii").splitlines()
    except OSError:
        return True
    ranges = (tuple(map(int, line.split())) for line in lines)
    return any(first <= number < first + count for first, _, count in ranges)


def _held(*wanted: int) -> int:
    try:
        status = Path("/proc/self/status").read_text("utf-8")
    except OSError:
        status = ""
    held = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapPrm:")), 0)
    for capability in wanted:
        if held >> capability & 1:
            return capability
    raise EngineFailed(
        "Postgres does not run as root, and no other user can reach the data folder or the program's own "
        f"(they are closed to others, and this process lacks CAP_DAC_READ_SEARCH); {_OTHERWISE}"
    )
