"""The bundle under test: started in a scratch folder on its embedded engines, stopped at the end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "dist" / "server-beta.pyz"
_START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class BenchServer:
    """A running server-beta and how to reach it."""

    data_dir: Path
    environment: Mapping[str, str]
    port: int
    key: str

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What authenticates a request."""
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cm-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(**settings: str) -> Iterator[BenchServer]:
    """Run the built server for the length of a block."""
    with scratch() as data_dir:
        environment = environment_for(data_dir, **settings)
        started = run(environment, "start", "--json")
        try:
            port = json.loads(started)["port"]
            key = data_dir.joinpath(".server-beta.key").read_text("ascii").strip()
            yield BenchServer(data_dir, environment, port, key)
        finally:
            run(environment, "stop")


def environment_for(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return an environment without the developer's own settings."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("CLAUDE_", "PYTHON"))}
    return {
        **inherited,
        "CLAUDE_MEM_DATA_DIR": str(data_dir),
        "CLAUDE_MEM_RUNTIME": "server-beta",
        "CLAUDE_MEM_SERVER_PORT": "0",
        "CLAUDE_MEM_LOG_LEVEL": "warning",
        **settings,
    }


def run(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of the bundle; returns what it printed."""
    done = subprocess.run(
        [sys.executable, str(BUNDLE), *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_START_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"server-beta {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def timed(environment: Mapping[str, str], *arguments: str) -> float:
    """Run a command of the bundle; returns how long it took in seconds."""
    began = time.perf_counter()
    run(environment, *arguments)
    return time.perf_counter() - began
