"""Servers that do not do what they should: the lifecycle around them still ends and still tells the truth."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lifecycle.program import Program, read_line
from tests.support.processes import running_python
from tests.support.waiting import eventually_sync


@contextmanager
def scripted(behaviour: str, data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a server that misbehaves, and wait until it is ready."""
    with running_python(["-m", "tests.lifecycle.scripted_server", behaviour], data_dir) as process:
        assert read_line(process) == "Ready\n"
        yield process


@pytest.fixture
def server(data_dir: Path) -> Program:
    """Give the command line of the runtime that the scripted server pretends to be."""
    return Program("server-beta", data_dir)


@pytest.mark.parametrize("behaviour", ["slow to stop", "immortal", "stuck"])
def test_a_second_signal_ends_it_at_once(server: Program, behaviour: str) -> None:
    with scripted(behaviour, server.data_dir) as process:
        process.send_signal(signal.SIGTERM)
        while process.poll() is None:  # signals of one kind merge until the first has been seen
            process.send_signal(signal.SIGTERM)

        assert process.returncode == 130
        assert server.state() == {}


def test_a_stop_that_takes_too_long_is_cut_off(server: Program) -> None:
    with scripted("slow to stop", server.data_dir) as process:
        answer = server("stop", "--json")

        assert answer.data["killed"] is False
        assert process.wait(5) == 1
        assert "did not stop within 10 s" in process.communicate()[1]
        assert server.state() == {}


def test_a_server_that_cannot_be_cut_off_ends_itself(server: Program) -> None:
    with scripted("immortal", server.data_dir) as process:
        assert server("stop", "--json").data["killed"] is False
        assert process.wait(5) == 1
        assert server.state() == {}


def test_a_server_that_hears_nothing_is_killed_and_that_is_said(server: Program) -> None:
    with scripted("stuck", server.data_dir) as process:
        answer = server("stop")

        assert answer.exit_code == 0
        assert answer.stdout == f"server-beta (pid {process.pid}) did not stop within 15 s and was killed.\n"
        assert process.wait(5) == -signal.SIGKILL


def test_whatever_a_server_writes_is_private(server: Program) -> None:
    old_mask = os.umask(0)
    try:
        with scripted("writing", server.data_dir):
            assert stat.S_IMODE((server.data_dir / "anything").stat().st_mode) == 0o600
    finally:
        os.umask(old_mask)


def test_an_unexpected_error_is_in_the_log_and_not_in_the_answer(server: Program) -> None:
    arguments = ["-m", "tests.lifecycle.scripted_server", "broken"]
    with running_python(arguments, server.data_dir) as process:
        stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 1
    assert stdout == "Failed\n"
    assert "RuntimeError" in stderr
    assert "the secret inside" not in stderr.rstrip().splitlines()[-1]


def test_a_server_that_leaves_by_itself_is_a_failure(server: Program) -> None:
    with scripted("leaving", server.data_dir) as process:
        assert process.wait(10) == 1
        assert "nobody asked" in process.communicate()[1]
    assert server.state() == {}


@pytest.mark.parametrize("behaviour", ["degraded", "unsure"])
def test_a_degraded_server_is_not_reported_ready(server: Program, behaviour: str) -> None:
    with scripted(behaviour, server.data_dir) as process:
        answer = server("status", "--json")

        assert answer.exit_code == 1
        assert (answer.data["status"], answer.data["pid"]) == ("degraded", process.pid)


def test_status_says_which_part_is_degraded(server: Program) -> None:
    with scripted("degraded", server.data_dir):
        assert "  queue.redis: down (it does not answer)\n" in server("status").stdout


def test_another_process_that_answers_on_the_port_is_not_taken_for_the_server(server: Program) -> None:
    with scripted("impostor", server.data_dir):
        assert server("status").exit_code == 3
        assert server("start").exit_code == 1


def test_a_server_that_is_ready_but_silent_is_not_called_running(server: Program) -> None:
    with scripted("slow to stop", server.data_dir) as process:
        answer = server("start")

        assert answer.exit_code == 1
        assert f"(pid {process.pid}) is running but does not answer" in answer.stderr
        process.kill()


def test_a_start_waits_for_a_server_that_is_stopping(server: Program) -> None:
    with scripted("slow to stop", server.data_dir) as process:
        process.send_signal(signal.SIGTERM)
        eventually_sync(lambda: server("status", "--json").data["status"] == "stopping")
        try:
            answer = server("start", "--json")

            assert answer.exit_code == 0, answer.stderr
            assert answer.data["status"] == "ready"
            assert answer.data["pid"] == server.health()["pid"] != process.pid
        finally:
            server("stop")
