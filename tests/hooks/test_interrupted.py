"""What a hook was told is kept, also when the client or the deadline ends it before it has read a byte of it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hooks.client import PATIENCE_SECONDS, HookClient, Spooled, check_contract
from tests.hooks.stub_runtime import StubRuntime

# Stands where `capture` begins to load: the moment at which the hook listens to nothing yet.
_ENDED_WHILE_LOADING = "import os, signal\nos.kill(os.getpid(), signal.{})\n"


@pytest.fixture
def own_hooks(client: HookClient, tmp_path: Path) -> Path:
    """The client's hooks, to be changed by one test."""
    client.hooks = Path(shutil.copytree(client.hooks, tmp_path / "hooks"))
    return client.hooks


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_while_the_program_loads_loses_nothing(client: HookClient, own_hooks: Path, name: str) -> None:
    (own_hooks / "capture" / "__init__.py").write_text(_ENDED_WHILE_LOADING.format(name))
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        client.run("PostToolUse", {"tool_use_id": "t1"})
    assert runtime.requests == []
    (path,) = client.spooled()
    assert json.loads(Spooled.read(path).body)["tool_use_id"] == "t1"
    assert "the client ended the hook" in client.log()


@pytest.mark.parametrize("size", [100, 60_000, 1_000_000])
def test_a_deadline_that_is_over_before_stdin_was_read_loses_nothing(
    client: HookClient, own_hooks: Path, size: int
) -> None:
    program = own_hooks / "capture" / "run.py"
    text = program.read_text()
    assert text.count("CAPTURE_SECONDS = 15.0") == 1
    program.write_text(text.replace("CAPTURE_SECONDS = 15.0", "CAPTURE_SECONDS = 0.0"))
    for number in range(5):
        client.run("PostToolUse", {"tool_use_id": number, "tool_response": "x" * size})
    stored = [json.loads(Spooled.read(path).body) for path in client.spooled()]
    assert [event["tool_use_id"] for event in stored] == list(range(5))
    assert {event["tool_response"] for event in stored} == {"x" * size}


def test_a_client_that_blocks_signals_cannot_stop_the_clock(punctual_client: HookClient) -> None:
    everything = signal.valid_signals()
    with subprocess.Popen(
        punctual_client.command("Stop"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=punctual_client.environment(),
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, everything) and None,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        check_contract(process.wait(PATIENCE_SECONDS), process.stdout.read(), process.stderr.read())


_A_LOST_ALARM = """
import os, signal, time
from capture.deadline import Deadline, Interrupted, Interrupts
interrupts = Interrupts()
interrupts.install(Deadline(time.monotonic() + 0.2))
handler = signal.signal(signal.SIGALRM, lambda *_: None)
time.sleep(0.4)
signal.signal(signal.SIGALRM, handler)
reading, _writing = os.pipe()
try:
    with interrupts:
        os.read(reading, 1)
except Interrupted:
    print(interrupts.reason)
"""


def test_an_alarm_that_comes_to_nothing_is_followed_by_another() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _A_LOST_ALARM],
        cwd=Path(__file__).parents[2] / "hooks",
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert done.stdout == "the deadline passed\n", done.stderr
