"""The plugin in the real Claude Code client: it validates, installs, records, remembers, and loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_client.client import OLDEST_VERSION, VERSION, Client, NotInstallable, install
from tests.real_client.scripted_api import ScriptedApi, Turn, scripted_api
from tests.support.processes import REPOSITORY, clean_environment
from tests.support.waiting import eventually_sync

MARKETPLACE = REPOSITORY / "dist" / "marketplace"
_BUNDLES = {"worker": "worker.pyz", "server-beta": "server-beta.pyz"}


@pytest.fixture(scope="session", params=[VERSION, OLDEST_VERSION])
def program(request: pytest.FixtureRequest) -> Path:
    """Give the program of a client version; the test says so where it cannot be had."""
    return _program(request.param)


@pytest.fixture(scope="session")
def newest() -> Path:
    """Give the program of the newest client that we test with."""
    return _program(VERSION)


def _program(version: str) -> Path:
    try:
        return install(version)
    except NotInstallable as reason:
        pytest.skip(f"NOT RUN: the real client {version} cannot be installed here: {reason}")


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with scripted_api() as running:
        yield running


@pytest.fixture
def checkout(data_dir: Path) -> Path:
    """Give a git checkout to work in."""
    folder = data_dir / "checkout"
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run(
        ["git", "-C", str(folder), "remote", "add", "origin", "https://example.org/dev/shop.git"], check=True
    )
    folder.joinpath("cart.py").write_text("def total(prices):\n    return sum(prices)\n", "utf-8")
    return folder


def test_the_marketplace_and_the_plugin_validate(program: Path, data_dir: Path) -> None:
    client = Client(program, data_dir, {})
    for folder in (MARKETPLACE, MARKETPLACE / "session-memory"):
        done = client.run("plugin", "validate", "--strict", str(folder))
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("runtime", list(_BUNDLES))
def test_a_session_remembers_the_one_before(
    newest: Path, runtime: str, data_dir: Path, checkout: Path, api: ScriptedApi
) -> None:
    client = _with_plugin(newest, runtime, data_dir)
    try:
        _work(client, checkout, api, "cart.py", "Round the total half up")
        _wait_until_learned(runtime, data_dir, "cart.py")
        context = _first_request(client, checkout, api)
        assert "cart.py" in context
        assert "half up" in context
        assert "broken" in context, context[:6000]

        _kill(runtime, data_dir)
        _work(client, checkout, api, "vat.py", "Move the tax into a module")
        _wait_until_learned(runtime, data_dir, "vat.py")
        context = _first_request(client, checkout, api)
        assert "vat.py" in context
        assert "cart.py" in context
    finally:
        _command(runtime, data_dir, "stop")


def _with_plugin(program: Path, runtime: str, data_dir: Path) -> Client:
    settings = {
        "CLAUDE_MEM_RUNTIME": runtime,
        "CLAUDE_MEM_DATA_DIR": str(data_dir / "memory"),
        "CLAUDE_MEM_SERVER_PORT": "0",
        "CLAUDE_MEM_WORKER_PORT": "0",
    }
    client = Client(program, data_dir / "home", settings)
    client.home.mkdir()
    for arguments in (("marketplace", "add", str(MARKETPLACE)), ("install", "session-memory@claude-mem")):
        done = client.run("plugin", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    return client


def _work(client: Client, checkout: Path, api: ScriptedApi, file: str, prompt: str) -> None:
    path = str(checkout / file)
    api.turns[:] = [
        Turn("I look at it first.", [("Bash", {"command": "ls; echo broken >&2; exit 3"})]),
        Turn("Now the change.", [("Write", {"file_path": path, "content": f"# {file}\nRATE = 0.2\n"})]),
        Turn(f"Done: {file} now holds the rate. I decided to round half up because invoices do."),
    ]
    client.ask(prompt, checkout, api.port)


def _first_request(client: Client, checkout: Path, api: ScriptedApi) -> str:
    """Start a session that does nothing and return what the model was told at its start."""
    api.requests.clear()
    api.turns[:] = [Turn("Hello.")]
    client.ask("Say hello", checkout, api.port)
    return json.dumps(api.requests[0]["messages"], ensure_ascii=False) + json.dumps(api.requests[0].get("system", ""))


def _wait_until_learned(runtime: str, data_dir: Path, file: str) -> None:
    def learned() -> bool:
        done = _command(runtime, data_dir, "status", "--json")
        return done.returncode == 0 and file in _context(runtime, data_dir)

    # A session that ended with nobody there left its events in the spool, and the next start of the runtime is ours.
    _command(runtime, data_dir, "start")
    eventually_sync(learned, within=60)


def _context(runtime: str, data_dir: Path) -> str:
    import urllib.request

    memory = data_dir / "memory"
    port = memory.joinpath(f".{runtime}.port").read_text("ascii").strip()
    secret = ".server-beta.key" if runtime == "server-beta" else ".worker.token"
    headers = {"Authorization": f"Bearer {memory.joinpath(secret).read_text('ascii').strip()}"}
    url = f"http://127.0.0.1:{port}/v1/observations?kind=summary"
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
        return json.dumps(json.load(response))


def _kill(runtime: str, data_dir: Path) -> None:
    record: dict[str, Any] = json.loads(data_dir.joinpath("memory", f".{runtime}.pid").read_text("utf-8"))
    os.kill(record["pid"], signal.SIGKILL)
    eventually_sync(lambda: not Path(f"/proc/{record['pid']}").exists(), within=10)


def _command(runtime: str, data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment(data_dir / "memory", CLAUDE_MEM_SERVER_PORT="0", CLAUDE_MEM_WORKER_PORT="0")
    environment.pop("PYTHONPATH")
    return subprocess.run(
        [shutil.which(sys.executable) or sys.executable, str(REPOSITORY / "dist" / _BUNDLES[runtime]), *arguments],
        env={**environment, "SHIV_ROOT": str(data_dir / "bundles")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
