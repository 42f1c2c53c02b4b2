"""The two runtimes live side by side in one data folder and never touch each other."""

from __future__ import annotations

from pathlib import Path

from tests.lifecycle.program import Program


def test_each_leaves_the_other_alone(program: Program, other: Program) -> None:
    pid, other_pid = program.start(), other.start()
    others_files = other.state()

    assert program("restart").exit_code == 0
    assert program("status", "--json").data["pid"] != other_pid
    assert program("stop", "--json").data["pid"] != other_pid

    assert other("status", "--json").data["pid"] == other_pid
    assert other.health()["pid"] == other_pid
    assert other.state() == others_files
    assert program("status").exit_code == 3
    assert program.start() not in {pid, other_pid}
    assert other.health()["pid"] == other_pid


def test_the_worker_hands_server_commands_over(program: Program, other: Program) -> None:
    worker, server = (program, other) if program.name == "worker" else (other, program)

    started = worker("server-start", "--json")

    assert started.exit_code == 0, started.stderr
    assert (started.data["status"], started.data["runtime"]) == ("ready", "server-beta")
    assert worker("server-status", "--json").data["pid"] == started.data["pid"] == server.health()["pid"]
    assert worker("status").exit_code == 3
    assert worker("server-stop", "--json").data["pid"] == started.data["pid"]
    assert worker("server-status").exit_code == 3


def test_an_unknown_server_command_says_what_exists(data_dir: Path) -> None:
    answer = Program("worker", data_dir)("server-frobnicate")

    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(
        "server-beta has no command 'frobnicate'; it has: start, stop, restart, status, run"
    )
    assert answer.stderr.count("\n") == 1
