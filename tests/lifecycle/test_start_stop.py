"""start, stop, restart, status and run: what they answer is true."""

from __future__ import annotations

import json
import os
import signal
import stat

import pytest

from server_beta.cli import identity
from tests.lifecycle.program import Program
from tests.support.processes import assert_no_process
from tests.support.waiting import eventually_sync


def test_start_answers_when_the_server_is_ready(program: Program) -> None:
    answer = program("start", "--json")

    assert answer.exit_code == 0, answer.stderr
    health = program.health()
    port = int(program.files.port.read_text())
    assert answer.data == {"status": "ready", "runtime": program.name, "pid": health["pid"], "port": port}
    assert health["runtime"] == program.name


def test_start_tells_people_a_sentence(program: Program) -> None:
    answer = program("start")

    assert (
        answer.stdout
        == f"{program.name} is ready: pid {program.health()['pid']}, port {program.files.port.read_text()}.\n"
    )
    assert answer.stderr == ""


def test_the_state_files_tell_who_runs_and_are_private(program: Program) -> None:
    old_mask = os.umask(0)
    try:
        pid = program.start()
    finally:
        os.umask(old_mask)

    port = int(program.files.port.read_text())
    recorded = json.loads(program.files.pid.read_text())
    assert set(recorded) == {"pid", "port", "startedAt", "startToken"}
    assert (recorded["pid"], recorded["port"]) == (pid, port)
    assert recorded["startToken"] == identity.start_token(pid)
    about = json.loads(program.files.runtime.read_text())
    assert about == {
        **recorded,
        "runtime": program.name,
        "version": program("version", "--json").data["version"],
        "host": "127.0.0.1",
        "url": f"http://127.0.0.1:{port}",
    }
    for path in (program.files.lock, program.files.pid, program.files.port, program.files.runtime, program.files.log):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(program.files.log.parent.stat().st_mode) == 0o700
    everything = [path for path in program.data_dir.rglob("*") if path.is_file()]
    assert [path for path in everything if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_a_second_start_finds_the_first(program: Program) -> None:
    pid = program.start()
    before = program.state()

    again = program("start", "--json")

    assert again.exit_code == 0
    port = int(program.files.port.read_text())
    assert again.data == {"status": "already running", "runtime": program.name, "pid": pid, "port": port}
    assert "already running" in program("start").stdout
    assert program.state() == before


def test_stop_answers_when_the_process_is_gone(program: Program) -> None:
    pid = program.start()

    answer = program("stop", "--json")

    assert answer.exit_code == 0
    assert answer.data == {"status": "stopped", "runtime": program.name, "pid": pid, "killed": False}
    assert identity.start_token(pid) is None
    assert program.state() == {}
    assert_no_process(program.data_dir, within=0)


def test_stop_of_nothing_is_a_success(program: Program) -> None:
    answer = program("stop", "--json")

    assert answer.exit_code == 0
    assert answer.data == {"status": "not running", "runtime": program.name}
    assert program("stop").stdout == f"{program.name} is not running.\n"


def test_restart_gives_a_new_process(program: Program) -> None:
    first = program.start()

    answer = program("restart", "--json")

    assert answer.exit_code == 0, answer.stderr
    assert answer.data["status"] == "ready"
    assert answer.data["previousPid"] == first
    assert answer.data["pid"] == program.health()["pid"] != first
    assert identity.start_token(first) is None


def test_restart_of_nothing_is_a_start(program: Program) -> None:
    answer = program("restart", "--json")

    assert answer.exit_code == 0, answer.stderr
    assert answer.data["previousPid"] is None
    assert answer.data["pid"] == program.health()["pid"]


def test_a_restart_that_cannot_start_again_leaves_the_server_alone(program: Program) -> None:
    pid = program.start()
    (program.data_dir / "settings.json").write_text("{")

    answer = program("restart")

    assert answer.exit_code == 1
    assert answer.stderr.count("\n") == 1
    assert "settings.json" in answer.stderr
    assert program.health()["pid"] == pid
    assert program("stop").exit_code == 0  # needs no settings


def test_status_tells_the_health_and_not_a_file(program: Program) -> None:
    down = program("status", "--json")
    assert down.exit_code == 3
    assert down.data["status"] == "down"

    pid = program.start()
    up = program("status", "--json")
    assert up.exit_code == 0, up.stdout
    assert (up.data["status"], up.data["pid"]) == ("ready", pid)
    assert up.data["port"] == int(program.files.port.read_text())
    assert isinstance(up.data["health"], dict)
    assert up.data["health"]["status"] == "ok"
    assert program("status").stdout.startswith(f"{program.name} ")

    os.kill(pid, signal.SIGSTOP)  # every file says that it runs, and it does not answer
    try:
        hung = program("status", "--json")
        assert hung.exit_code == 3
        assert (hung.data["status"], hung.data["pid"]) == ("down", pid)
    finally:
        os.kill(pid, signal.SIGCONT)
    program("stop")
    assert program("status").exit_code == 3


def test_a_killed_server_is_started_again(program: Program) -> None:
    first = program.start()
    stale = program.state()
    os.kill(first, signal.SIGKILL)
    eventually_sync(lambda: identity.start_token(first) is None)

    assert program("status").exit_code == 3
    assert program("stop", "--json").data["status"] == "not running"
    assert program.state() == stale
    second = program.start()

    assert second == program.health()["pid"] != first
    assert program("status").exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_foreground_server_in_order(program: Program, number: signal.Signals) -> None:
    with program.in_foreground() as process:
        assert program.health()["pid"] == process.pid
        process.send_signal(number)

        assert process.wait(15) == 0
        assert program.state() == {}


def test_the_foreground_server_is_stopped_like_any_other(program: Program) -> None:
    with program.in_foreground() as process:
        assert program("start", "--json").data["pid"] == process.pid
        assert program("stop", "--json").data["pid"] == process.pid
        assert process.wait(5) == 0


def test_a_second_foreground_server_is_refused(program: Program) -> None:
    pid = program.start()

    refused = program("run")

    assert refused.exit_code == 1
    assert refused.stderr == f"{program.name} is already running in {program.data_dir} (pid {pid}).\n"
    assert program.health()["pid"] == pid


def test_the_server_does_not_hold_the_terminal(program: Program) -> None:
    pid = program.start()

    assert os.getsid(pid) == pid
    assert os.getpgid(pid) != os.getpgid(0)


def test_a_relative_data_folder_means_the_same_to_the_started_process(program: Program) -> None:
    relative = Program(program.name, program.data_dir, env={"CLAUDE_MEM_DATA_DIR": program.data_dir.name})

    answer = relative("start", "--json", cwd=program.data_dir.parent)

    assert answer.exit_code == 0, answer.stderr
    assert answer.data["pid"] == program.health()["pid"]
