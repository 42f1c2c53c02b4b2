"""Every case runs over both runtimes; whatever a test leaves running is ended, and fails the test before that."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.program import OTHER, Program


@pytest.fixture(params=["worker", "server-beta"])
def program(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Program]:
    """Give a runtime with an empty data folder; ends it when the test has not."""
    yield from _ended_afterwards(Program(request.param, data_dir))


@pytest.fixture
def other(program: Program) -> Iterator[Program]:
    """Give the other runtime in the same data folder."""
    yield from _ended_afterwards(Program(OTHER[program.name], program.data_dir))


def _ended_afterwards(program: Program) -> Iterator[Program]:
    yield program
    if program("stop").exit_code != 0:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(program.health()["pid"]), signal.SIGTERM)  # type: ignore[call-overload]
