"""A hundred rounds of start and stop leave nothing behind."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from server_beta.cli import identity
from tests.lifecycle.program import Program
from tests.support.processes import assert_no_process, watched_data_dir

_ROUNDS = 100
_AT_ONCE = 4


@pytest.mark.parametrize("name", ["worker", "server-beta"])
def test_rounds_leave_no_process_and_no_state(name: str) -> None:
    # Several data folders at once: the rounds of one are in a row, which is what could pile something up.
    with ExitStack() as folders, ThreadPoolExecutor(_AT_ONCE) as pool:
        programs = [Program(name, folders.enter_context(watched_data_dir())) for _ in range(_AT_ONCE)]
        pids = [pid for seen in pool.map(_rounds, programs) for pid in seen]

        assert len(pids) == _ROUNDS
        assert [pid for pid in pids if identity.start_token(pid) is not None] == []


def _rounds(program: Program) -> list[int]:
    pids = []
    for _ in range(_ROUNDS // _AT_ONCE):
        pids.append(program.start())
        assert program("stop", "--json").data["killed"] is False
        assert program.state() == {}
        assert_no_process(program.data_dir, within=0)
    return pids


def test_killed_rounds_leave_no_process_either(program: Program) -> None:
    for _ in range(5):
        os.kill(program.start(), signal.SIGKILL)
        assert_no_process(program.data_dir)
