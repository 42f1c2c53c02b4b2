"""A port that somebody else holds: the start fails, names the owner and touches nothing."""

from __future__ import annotations

import os
import sys

from tests.lifecycle.program import Program, taken_port
from tests.support.processes import assert_no_process, watched_data_dir


def _on(program: Program, port: int) -> Program:
    return Program(program.name, program.data_dir, port)


def test_a_foreign_program_is_named(program: Program) -> None:
    with taken_port() as port:
        answer = _on(program, port)("start", "--json")

        assert answer.exit_code == 1
        assert answer.data["status"] == "failed"
        assert answer.data["message"] == answer.stderr.rstrip("\n")
        assert answer.stderr.count("\n") == 1
        assert f"Port {port} " in answer.stderr
        # Elsewhere the system does not tell an ordinary program who listens.
        assert (f"(pid {os.getpid()})" if sys.platform == "linux" else "another program") in answer.stderr
    assert program.state() == {}
    assert_no_process(program.data_dir)


def test_what_an_earlier_server_left_is_not_touched(program: Program) -> None:
    program.files.pid.write_text('{"pid": 1, "startToken": "another-boot:1"}')
    before = program.state()

    with taken_port() as port:
        assert _on(program, port)("start").exit_code == 1

    assert program.state() == before


def test_the_foreground_server_fails_alike(program: Program) -> None:
    with taken_port() as port:
        answer = _on(program, port)("run")

    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert f"Port {port} " in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_other_runtime_of_this_folder_is_named(program: Program, other: Program) -> None:
    pid = other.start()
    before = other.state()

    answer = _on(program, int(other.files.port.read_text()))("start")

    assert answer.exit_code == 1
    assert f"the claude-mem {other.name} (pid {pid}) of this data folder" in answer.stderr
    assert other.health()["pid"] == pid
    assert other.state() == before


def test_the_same_runtime_of_another_folder_is_named(program: Program) -> None:
    pid = program.start()
    with watched_data_dir() as elsewhere:
        second = Program(program.name, elsewhere, int(program.files.port.read_text()))

        answer = second("start")

        assert answer.exit_code == 1
        assert f"a claude-mem {program.name} (pid {pid}) with another data folder" in answer.stderr
        assert second("status").exit_code == 3
        assert second("stop").exit_code == 0
        assert second.state() == {}
    assert program.health()["pid"] == pid


def test_the_other_runtime_of_another_folder_is_not_taken_for_ours(program: Program, other: Program) -> None:
    other.start()
    with watched_data_dir() as elsewhere:
        theirs = Program(other.name, elsewhere)
        pid = theirs.start()
        try:
            answer = _on(program, int(theirs.files.port.read_text()))("start")
        finally:
            theirs("stop")

    assert f"a claude-mem {other.name} (pid {pid}) with another data folder" in answer.stderr


def test_doctor_names_the_owner_too(program: Program) -> None:
    with taken_port() as port:
        answer = _on(program, port)("doctor", "--json")

    assert answer.exit_code == 1
    findings = answer.data["checks"]
    assert isinstance(findings, list)
    assert [finding["result"] for finding in findings if finding["name"] == "port"] == ["fail"]


def test_a_free_port_is_used_as_configured(program: Program) -> None:
    with taken_port() as port:
        pass

    assert _on(program, port)("start", "--json").data["port"] == port
