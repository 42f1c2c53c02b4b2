"""What a hook costs: wall time of the whole process, beside an interpreter that does nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from .report import Row, milliseconds, percentile
from .server import ROOT, running

_ROUNDS = 60
_AT_ONCE = 16
_SAMPLE = ROOT / "tests" / "data" / "claude_code" / "samples" / "PostToolUse.Edit.json"
_HOOKS_JSON = json.loads((ROOT / "plugin" / "hooks" / "hooks.json").read_text("utf-8"))["hooks"]
_HOOK = [
    sys.executable,
    *(word.replace("${CLAUDE_PLUGIN_ROOT}", str(ROOT)) for word in _HOOKS_JSON["PostToolUse"][0]["hooks"][0]["args"]),
]
_BARE = [sys.executable, "-I", "-S", "-c", "pass"]


def measure() -> list[Row]:
    """Run hook and bare interpreter in turns, then sixteen of each at once."""
    sample = _SAMPLE.read_bytes()
    with running() as server:
        environment = dict(server.environment)
        for command in (_HOOK, _BARE):
            _wall(command, sample, environment)
        hooks, bare = [], []
        for _ in range(_ROUNDS):
            hooks.append(_wall(_HOOK, sample, environment))
            bare.append(_wall(_BARE, sample, environment))
        many, many_bare = _together(_HOOK, sample, environment), _together(_BARE, sample, environment)
        refused = [
            _wall(_HOOK, sample, {**environment, "CLAUDE_MEM_SERVER_URL": "http://127.0.0.1:9"}) for _ in range(10)
        ]
    ratio = percentile(hooks, 0.5) / percentile(bare, 0.5)
    return [
        Row(
            "hook, PostToolUse", milliseconds(hooks), f"`python3 -I -S -c pass` {milliseconds(bare)}", f"{ratio:.1f} x"
        ),
        Row(
            f"{_AT_ONCE} hooks at once, until the last one ends",
            f"{many * 1000:.0f} ms",
            f"{_AT_ONCE} bare interpreters {many_bare * 1000:.0f} ms",
            f"{many / many_bare:.1f} x",
        ),
        Row(
            "hook, runtime down (spooled)",
            milliseconds(refused),
            f"runtime up {milliseconds(hooks)}",
            f"{percentile(refused, 0.5) / percentile(hooks, 0.5):.1f} x",
        ),
    ]


def _wall(command: Sequence[str], sample: bytes, environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, input=_fresh(sample), env=environment, capture_output=True, check=True)
    return time.perf_counter() - began


def _together(command: Sequence[str], sample: bytes, environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
        for _ in range(_AT_ONCE)
    ]
    for process in processes:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # the bare interpreter reads nothing
            process.stdin.write(_fresh(sample))
            process.stdin.close()
    for process in processes:
        process.wait()
    return time.perf_counter() - began


def _fresh(sample: bytes) -> bytes:
    return json.dumps({**json.loads(sample), "tool_use_id": f"toolu_{time.time_ns()}"}).encode()
