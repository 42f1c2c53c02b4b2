"""The deadline counts from the start of the process, and a signal is raised where the hook waits and nowhere else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from hooks.capture.deadline import Deadline

ROOT = Path(__file__).resolve().parents[2]
_SIGNALLED_BEFORE_WAITING = """
import sys, time
sys.path.insert(0, sys.argv[1])
from capture.deadline import Deadline, Interrupted, Interrupts
interrupts = Interrupts()
interrupts.install(Deadline(time.monotonic() + 0.01))
while not interrupts.reason:
    pass
print("at work")
try:
    with interrupts:
        print("waited")
except Interrupted as interruption:
    print(interruption)
"""
_AGE = """
import sys, time
sys.path.insert(0, sys.argv[1])
started = time.monotonic()
from capture.deadline import Deadline
while time.monotonic() < started + 0.3:
    pass
print(Deadline.of_process(10.0).remaining())
"""


def _run(program: str) -> str:
    command = [sys.executable, "-I", "-S", "-c", program, str(ROOT / "hooks")]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_signal_interrupts_no_work_but_the_next_waiting() -> None:
    assert _run(_SIGNALLED_BEFORE_WAITING) == "at work\nthe deadline passed\n"


def test_time_before_the_first_line_of_python_counts() -> None:
    assert 0 < float(_run(_AGE)) < 9.75


def test_a_deadline_in_the_past_still_gives_a_socket_a_time_limit() -> None:
    past = Deadline(time.monotonic() - 5)
    assert past.has_passed()
    assert 0 < past.remaining() < 0.001
    assert not Deadline(time.monotonic() + 5).less(1).has_passed()
    assert Deadline(time.monotonic() + 5).less(6).has_passed()
