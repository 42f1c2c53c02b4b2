"""Become an engine: wait for the word, give up root, ask to end with the server, and execute the program.

A program of its own (`python -I -S launch.py <uid> <gid> <capability> <program> <argument>...`, `-` for none) and never
imported: the calls below are not safe between fork and exec of a process that has threads. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# From linux/prctl.h, linux/securebits.h and linux/capability.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522

_NOT_ALLOWED = (
    "error: Postgres does not run as root, and this process may not become another user (it lacks CAP_SETUID or "
    "CAP_SETGID); start claude-mem as an ordinary user, or set CLAUDE_MEM_SERVER_DATABASE_URL to a Postgres of your own"
)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def main(uid: str, gid: str, capability: str, *command: str) -> None:
    """Return only when there is nothing to become: the server has ended in the meantime."""
    server = os.getppid()
    # A server in a shell's background, or one that blocks signals, would pass its deafness on.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if os.read(0, 1) != b"\n":
        return
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.umask(0o077)
    linux = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if uid != "-":
        try:
            _give_up_root(int(uid), int(gid), linux, None if capability == "-" else int(capability))
        except PermissionError:
            sys.exit(_NOT_ALLOWED)
    if linux is not None:
        # Last of all: a change of user clears it. SIGQUIT is Postgres' immediate shutdown: nothing committed is lost,
        # and unlike the fast one it also works while the server still recovers from an earlier crash.
        _checked(linux.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0))
    if os.getppid() != server:
        return
    os.execv(command[0], command)


def _give_up_root(uid: int, gid: int, linux: ctypes.CDLL | None, capability: int | None) -> None:
    os.setgroups([])
    os.setgid(gid)
    if linux is None:
        os.setuid(uid)
        return
    _checked(linux.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    if capability is not None:
        # Postgres asks access(2) about its own programs, which otherwise leaves an ordinary user's capabilities aside.
        # Not checked: a root without CAP_SETPCAP may still do without it, when only the way to the cluster is closed.
        linux.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setresuid(uid, uid, uid)
    bits = 0 if capability is None else 1 << capability
    sets = (_Sets * 2)(_Sets(bits, bits, bits), _Sets(0, 0, 0))
    _checked(linux.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(sets)))
    if capability is not None:
        _checked(linux.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"error: the embedded Postgres could not be launched: {error.strerror}")
