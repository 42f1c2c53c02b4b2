"""A data folder that cannot be used: one sentence that says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lifecycle.program import Answer, Program
from tests.support.processes import UNPRIVILEGED_UID, running_python


def _refused(answer: Answer, path: Path) -> None:
    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert str(path) in answer.stderr
    assert answer.stderr.count("\n") == 1, answer.stderr


@pytest.mark.parametrize("command", ["start", "restart", "run"])
def test_a_folder_that_cannot_be_made(program: Program, command: str) -> None:
    impossible = Path("/proc/claude-mem/data")
    nowhere = Program(program.name, program.data_dir, env={"CLAUDE_MEM_DATA_DIR": str(impossible)})

    _refused(nowhere(command), impossible)
    assert nowhere("status").exit_code == 3
    assert nowhere("stop").exit_code == 0


def test_a_file_in_its_place(program: Program) -> None:
    taken = program.data_dir / "file"
    taken.write_text("mine")
    nowhere = Program(program.name, program.data_dir, env={"CLAUDE_MEM_DATA_DIR": str(taken)})

    _refused(nowhere("start"), taken)
    assert taken.read_text() == "mine"


def test_a_folder_that_may_only_be_read(program: Program) -> None:
    uid = UNPRIVILEGED_UID if os.geteuid() == 0 else None
    if uid is not None:
        os.chown(program.data_dir, uid, uid)
    program.data_dir.chmod(0o500)
    try:
        for command in ("start", "run"):
            arguments = [*program.command_line, command]
            with running_python(arguments, program.data_dir, program.environment, uid=uid) as process:
                stdout, stderr = process.communicate(timeout=60)
            _refused(Answer(process.returncode, stdout, stderr), program.data_dir)
    finally:
        program.data_dir.chmod(0o700)
        if uid is not None:
            os.chown(program.data_dir, 0, 0)


@pytest.mark.parametrize("place", ["lock", "log"])
def test_a_folder_where_a_file_is_needed(program: Program, place: str) -> None:
    path: Path = getattr(program.files, place)
    path.mkdir(parents=True)

    _refused(program("start"), path)


def test_a_link_in_place_of_the_lock_is_not_followed(program: Program) -> None:
    target = program.data_dir / "precious"
    target.write_text("mine")
    program.files.lock.symlink_to(target)

    _refused(program("start"), program.files.lock)
    assert target.read_text() == "mine"
