"""A process is its pid and its start, and a signal reaches that process or none."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from server_beta.cli import identity
from server_beta.cli.identity import ProcessIdentity
from tests.lifecycle.program import stranger
from tests.support.waiting import eventually_sync


def test_the_token_of_a_living_process_stays_and_differs_from_others(data_dir: Path) -> None:
    with stranger(data_dir) as first, stranger(data_dir) as second:
        token = identity.start_token(first.pid)

        assert token is not None
        assert identity.start_token(first.pid) == token
        # A hundredth of a second is what the system tells apart; two processes may share it, a boot does not.
        assert ProcessIdentity(first.pid, token) != ProcessIdentity(second.pid, identity.start_token(second.pid) or "")


def test_an_ended_process_that_nobody_has_collected_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        eventually_sync(lambda: identity.start_token(process.pid) is None)
        assert identity.exists(process.pid)  # its number is still taken


def test_a_signal_to_an_earlier_owner_of_the_pid_reaches_nobody(data_dir: Path) -> None:
    with stranger(data_dir) as process:
        alive = ProcessIdentity(process.pid, identity.start_token(process.pid) or "")

        assert not identity.send(replace(alive, start_token="another-boot:1"), signal.SIGKILL)
        assert process.poll() is None
        assert identity.send(alive, signal.SIGKILL)
        assert process.wait(5) == -signal.SIGKILL
        assert not identity.send(alive, signal.SIGKILL)
