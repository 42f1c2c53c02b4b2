"""The story of one memory: start server-beta on its embedded engines, replay a recorded Claude Code session through the
real hook program, show what was learned and what the next session starts with, and stop."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "dist" / "server-beta.pyz"
HOOK = ROOT / "hooks" / "hook.py"
RECORDED = ROOT / "tests" / "data" / "sessions" / "bug-hunt.jsonl"
SCRATCH = ROOT / ".cache" / "demo"
# Long enough for the first unpacking and initdb on a slow disk.
_START_SECONDS = 120
_OBSERVE_SECONDS = 30


def main() -> int:
    """Tell the story; 0 when it went to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop", action="store_true", help="stop what an interrupted run left behind")
    if parser.parse_args().stop:
        return _stop()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _tell()
    except KeyboardInterrupt:
        print("\nInterrupted.")
        return 130
    finally:
        _stop()


def _tell() -> int:
    shutil.rmtree(SCRATCH, ignore_errors=True)
    (SCRATCH / "data").mkdir(parents=True)
    _step(1, "The bundles")
    for bundle in sorted((ROOT / "dist").glob("*.pyz")):
        print(f"  {bundle.relative_to(ROOT)}  {bundle.stat().st_size / 1e6:.1f} MB")

    _step(2, "server-beta starts with nothing configured: its own Postgres, and BullMQ on it")
    began = time.monotonic()
    started = json.loads(_server("start", "--json").stdout)
    base = f"http://127.0.0.1:{started['port']}"
    print(f"  {started['status']} after {time.monotonic() - began:.1f} s: {base}/v1/info")

    _step(3, f"A recorded Claude Code session goes through the hook program ({RECORDED.relative_to(ROOT)})")
    session = [json.loads(line) for line in RECORDED.read_text("utf-8").splitlines() if line]
    for event in session:
        if event["event"] != "PreToolUse" or event["input"]["tool_name"] == "Read":  # as plugin/hooks/hooks.json asks
            _replay(event)

    _step(4, "What server-beta learned from it")
    for number, observation in enumerate(_observations(base), 1):
        print(f"  {number}. [{observation['kind']}] {observation['content'].splitlines()[0]}")

    _step(5, "What the next session in this project starts with")
    first = next(event["input"] for event in session if event["event"] == "SessionStart")
    following = {**first, "session_id": str(uuid.uuid4()), "source": "startup"}
    printed = _hook("SessionStart", following, first["cwd"])[0]
    context = json.loads(printed)["hookSpecificOutput"]["additionalContext"] if printed else ""
    print("\n".join(f"  | {line}" for line in context.splitlines()))

    _step(6, "Everything stops")
    print(f"  {_server('stop').stdout.strip()}")
    print(_HOW_TO_GO_ON)
    return 0 if context else 1


_HOW_TO_GO_ON = """
To use it in Claude Code:
  claude plugin marketplace add ./dist/marketplace
  claude plugin install session-memory@claude-mem
README.md says how to choose a runtime and how to configure it."""


def _replay(event: dict[str, Any]) -> None:
    body, name = event["input"], event["event"]
    _, milliseconds = _hook(name, body, str(body["cwd"]))
    what = body.get("prompt") or body.get("tool_name") or body.get("last_assistant_message") or body.get("source") or ""
    tool_input = body.get("tool_input") or {}
    what = " ".join(f"{what} {tool_input.get('command') or tool_input.get('file_path') or ''}".split())
    print(f"  {milliseconds:4.0f} ms  {name:<18}  {what[:76]}")


def _hook(name: str, body: dict[str, Any], folder: str) -> tuple[str, float]:
    """Run the hook as the client does; returns what it printed and how long it took in milliseconds."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(HOOK), name],
        input=json.dumps(body),
        text=True,
        capture_output=True,
        check=True,
        env={**_environment(), "CLAUDE_PROJECT_DIR": folder},
    )
    return done.stdout.strip(), (time.monotonic() - began) * 1000


def _observations(base: str) -> Iterator[dict[str, Any]]:
    """Wait until no job is left and return everything, oldest first."""
    deadline = time.monotonic() + _OBSERVE_SECONDS
    while any(_get(f"{base}/api/health")["jobs"].values()):
        if time.monotonic() > deadline:
            raise SystemExit(f"Jobs are left after {_OBSERVE_SECONDS} s; see {SCRATCH / 'data' / 'logs'}.")
        time.sleep(0.05)
    yield from reversed(_get(f"{base}/v1/observations?limit=50")["observations"])


def _get(url: str) -> Any:
    key = (SCRATCH / "data" / ".server-beta.key").read_text("ascii").strip()
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def _server(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, str(SERVER), *arguments],
        text=True,
        capture_output=True,
        check=False,
        env=_environment(),
        timeout=_START_SECONDS,
    )
    if done.returncode != 0:
        raise SystemExit(f"server-beta {' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done


def _environment() -> dict[str, str]:
    """The caller's environment without its own claude-mem settings, which are none of this story's business."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CLAUDE_", "PYTHON"))}
    inherited.pop("REDIS_URL", None)
    return {
        **inherited,
        "CLAUDE_MEM_DATA_DIR": str(SCRATCH / "data"),
        "CLAUDE_MEM_RUNTIME": "server-beta",
        "CLAUDE_MEM_SERVER_PORT": "0",
    }


def _stop() -> int:
    if SERVER.exists() and (SCRATCH / "data").exists():
        _server("stop")
    shutil.rmtree(SCRATCH, ignore_errors=True)
    return 0


def _step(number: int, text: str) -> None:
    print(f"\n{number}. {text}", flush=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
