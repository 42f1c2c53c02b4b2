"""What is not proved to be ours is not signalled, not deleted and not taken for us."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from server_beta.cli import identity
from tests.lifecycle.program import Program, locked_by_this_process, stranger
from tests.support.waiting import eventually_sync


def _claim(path: Path, **claim: object) -> bytes:
    path.write_text(json.dumps({"port": 1, "startedAt": 1, **claim}))
    return path.read_bytes()


def test_a_pid_file_that_names_a_living_stranger_proves_nothing(program: Program) -> None:
    with stranger(program.data_dir) as foreign:
        # Even the token is right: still nobody holds the lock.
        claim = _claim(program.files.pid, pid=foreign.pid, startToken=identity.start_token(foreign.pid))

        assert program("status").exit_code == 3
        assert program("stop", "--json").data["status"] == "not running"
        refused = program("start")
        assert refused.exit_code == 1
        assert str(program.files.pid) in refused.stderr
        assert refused.stderr.count("\n") == 1

        assert program.files.pid.read_bytes() == claim
        assert foreign.poll() is None


def test_a_pid_file_without_a_token_is_not_taken_for_ours(program: Program) -> None:
    with stranger(program.data_dir) as foreign:
        claim = _claim(program.files.pid, pid=foreign.pid)

        assert program("status").exit_code == 3
        assert program("stop", "--json").data["status"] == "not running"
        assert program("start").exit_code == 1

        assert program.files.pid.read_bytes() == claim
        assert foreign.poll() is None


def test_a_reused_pid_does_not_keep_the_server_from_starting(program: Program) -> None:
    with stranger(program.data_dir) as foreign:
        claim = _claim(program.files.pid, pid=foreign.pid, startToken="another-boot:1")

        assert program("status").exit_code == 3
        assert program("stop", "--json").data["status"] == "not running"
        assert program.files.pid.read_bytes() == claim
        pid = program.start()  # the token proves that its writer has ended

        assert json.loads(program.files.pid.read_text())["pid"] == pid
        program("stop")
        assert foreign.poll() is None


def test_rubbish_in_the_state_files_does_not_matter(program: Program) -> None:
    for path in (program.files.lock, program.files.pid, program.files.port, program.files.runtime):
        path.write_bytes(b'\xff{"pid": -1')

    assert program("status").exit_code == 3
    assert program("stop").exit_code == 0
    assert program.start() == program.health()["pid"]


def test_a_pid_file_changed_under_the_server_does_not_misdirect_the_stop(program: Program) -> None:
    pid = program.start()
    with stranger(program.data_dir) as foreign:
        claim = _claim(program.files.pid, pid=foreign.pid, startToken=identity.start_token(foreign.pid))

        assert program("stop", "--json").data["pid"] == pid

        assert identity.start_token(pid) is None
        assert foreign.poll() is None
        assert program.files.pid.read_bytes() == claim  # not the one it wrote, so not its to remove
        assert not program.files.runtime.exists()


def test_a_lock_held_by_an_unknown_process_is_left_alone(program: Program) -> None:
    with stranger(program.data_dir) as foreign, locked_by_this_process(program.files.lock):
        claim = _claim(program.files.pid, pid=foreign.pid, startToken=identity.start_token(foreign.pid))

        stopped = program("stop")
        started = program("start")
        status = program("status")

        assert (stopped.exit_code, started.exit_code, status.exit_code) == (1, 1, 3)
        for answer in (stopped, started):
            assert str(program.files.lock) in answer.stderr
            assert answer.stderr.count("\n") == 1
        assert foreign.poll() is None
        assert program.files.pid.read_bytes() == claim


def test_a_lock_record_with_another_token_is_not_believed(program: Program) -> None:
    with stranger(program.data_dir) as foreign, locked_by_this_process(program.files.lock):
        program.files.lock.write_text(json.dumps({"pid": foreign.pid, "startToken": "another-boot:1"}))

        assert program("stop").exit_code == 1
        assert program("status", "--json").data["status"] == "down"

        assert foreign.poll() is None


def test_a_server_whose_lock_file_was_removed_is_not_doubled(program: Program) -> None:
    pid = program.start()
    before = program.state()
    program.files.lock.unlink()
    try:
        assert program("start").exit_code == 1
        assert program("stop", "--json").data["status"] == "not running"

        assert program.health()["pid"] == pid
        assert program.state() == before
    finally:
        os.kill(pid, signal.SIGTERM)
    eventually_sync(lambda: identity.start_token(pid) is None, within=15)
