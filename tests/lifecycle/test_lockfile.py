"""The lock has one holder, says who that is, and is not disturbed by those who look."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from server_beta.cli import identity, lockfile
from tests.lifecycle.program import locked_by_this_process, read_line
from tests.support.processes import running_python


def test_a_lock_has_one_holder_and_says_who(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    me = identity.current()
    assert lockfile.look(path) == lockfile.Free()

    lock = lockfile.acquire(path, me)

    assert isinstance(lock, lockfile.Lock)
    assert lockfile.look(path) == lockfile.Held(me)
    assert lockfile.acquire(path, me) == lockfile.Held(me)
    os.close(lock.descriptor)
    assert lockfile.look(path) == lockfile.Free()


def test_somebody_who_only_looks_does_not_keep_the_lock_from_being_taken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    looking = subprocess.Popen(
        [sys.executable, "-c", _LOOK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with looking:
        read_line(looking)  # from here on it has the shared lock for a tenth of a second

        lock = lockfile.acquire(path, identity.current())

        assert isinstance(lock, lockfile.Lock)
        os.close(lock.descriptor)


_LOOK = """
import fcntl, sys, time
with open(sys.argv[1]) as file:
    fcntl.flock(file, fcntl.LOCK_SH)
    print(flush=True)
    time.sleep(0.1)
"""


def test_a_turn_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with locked_by_this_process(path):
        began = time.monotonic()
        with lockfile.turn(path, 0.2):
            assert time.monotonic() - began >= 0.2
    with lockfile.turn(path, 60), lockfile.turn(tmp_path / "no such file", 60):
        assert path.exists()
    with locked_by_this_process(path):  # the turn was given back
        assert path.exists()


def test_a_new_holder_is_given_time_to_say_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with running_python(["-c", _TAKE, path], tmp_path) as taking:
        read_line(taking)  # locked; what is written into it comes a tenth of a second later

        lock = lockfile.look(path)

        assert lock == lockfile.Held(identity.ProcessIdentity(taking.pid, identity.start_token(taking.pid) or ""))


_TAKE = """
import fcntl, os, sys, time
from server_beta.cli import identity, lockfile
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print(flush=True)
time.sleep(0.1)
lockfile.Lock(descriptor, identity.current()).tell(is_stopping=False)
time.sleep(60)
"""
