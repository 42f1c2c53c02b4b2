"""Runs the hook program as the agent's client does, and holds every run to the contract."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.cli import identity
from worker.cli.identity import ProcessIdentity

_HOOKS_JSON = Path(__file__).resolve().parents[2] / "plugin" / "hooks" / "hooks.json"
SESSION_ID = "901ebc90-918a-4f98-b816-b7f38ad9db36"
# Far above any deadline of the hook, far below what a client would call hung.
PATIENCE_SECONDS = 20
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _PR_CAPBSET_DROP = 1, 2, 24


@dataclass(frozen=True, slots=True)
class HookRun:
    """What one run of the hook left behind."""

    out: bytes
    seconds: float

    @property
    def answer(self) -> dict[str, object]:
        """The JSON on stdout; {} when there was none."""
        return dict(json.loads(self.out)) if self.out else {}


@dataclass(slots=True)
class HookClient:
    """A client with a data folder, a project and an environment of its own."""

    hooks: Path
    data: Path
    project: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def run(
        self,
        event: str,
        payload: Mapping[str, object] | bytes | None = None,
        without: tuple[str, ...] = (),
        obey_permissions: bool = False,
        **env: str,
    ) -> HookRun:
        """Run the hook to its end and check what holds for every run."""
        body = payload if isinstance(payload, bytes) else json.dumps(self.payload(event, **(payload or {}))).encode()
        started = time.monotonic()
        process = subprocess.run(
            self.command(event),
            input=body,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            cwd=self.project,
            env=self.environment(without, **env),
            preexec_fn=_lose_the_power_of_root if obey_permissions else None,
        )
        seconds = time.monotonic() - started
        check_contract(process.returncode, process.stdout, process.stderr)
        return HookRun(process.stdout, seconds)

    def start(self, event: str, **env: str) -> subprocess.Popen[bytes]:
        """Start the hook and leave its stdin open."""
        return subprocess.Popen(
            self.command(event),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.project,
            env=self.environment((), **env),
        )

    def command(self, event: str) -> list[str]:
        """The command line of the plugin's hooks.json, with this hook in the plugin's place."""
        (group,) = json.loads(_HOOKS_JSON.read_text("utf-8"))["hooks"]["Stop"]
        *inline, _, _ = group["hooks"][0]["args"]
        return [self.python, *inline, str(self.hooks / "hook.py"), event]

    def environment(self, without: tuple[str, ...] = (), **env: str) -> dict[str, str]:
        whole = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CLAUDE_MEM_DATA_DIR": str(self.data),
            "CLAUDE_PROJECT_DIR": str(self.project),
            **self.env,
            **env,
        }
        return {name: value for name, value in whole.items() if name not in without}

    def payload(self, event: str, **fields: object) -> dict[str, object]:
        """A plain event of this kind, with other fields where given."""
        tools: dict[str, object] = {}
        if "Tool" in event:
            tools = {"tool_name": "Read", "tool_input": {"file_path": str(self.project / "a.txt")}}
        if event == "UserPromptSubmit":
            tools = {"prompt": "make it faster"}
        common = {"session_id": SESSION_ID, "cwd": str(self.project), "hook_event_name": event}
        return {**common, **tools, **fields}

    def listen(
        self, port: int, runtime: str = "worker", key: str = "secret-token", process: ProcessIdentity | None = None
    ) -> None:
        """Leave the traces of a running local runtime, which is this process unless told otherwise."""
        self.data.mkdir(exist_ok=True)
        owner = process or identity.current()
        published = {"pid": owner.pid, "port": port, "startedAt": 1, "startToken": owner.start_token}
        (self.data / f".{runtime}.pid").write_text(json.dumps(published))
        (self.data / (".worker.token" if runtime == "worker" else ".server-beta.key")).write_text(key + "\n")

    def spooled(self, runtime: str = "worker") -> list[Path]:
        """The events that wait, oldest first."""
        return sorted((self.data / "spool" / runtime).glob("*.http"))

    def log(self) -> str:
        path = self.data / "logs" / "hook.log"
        return path.read_text() if path.exists() else ""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A spool file, read."""

    line: str
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, path: Path) -> Spooled:
        head, _, body = path.read_bytes().partition(b"\r\n\r\n")
        line, *lines = head.decode("ascii").split("\r\n")
        return cls(line, {name.lower(): value.strip() for name, _, value in (at.partition(":") for at in lines)}, body)


def check_contract(code: int, out: bytes, err: bytes) -> None:
    """Exit 0; nothing on stderr; on stdout nothing, or one line with one JSON object that decides about nothing."""
    assert code == 0
    assert err == b""
    if out:
        assert out.endswith(b"\n")
        assert len(out.decode("utf-8").splitlines()) == 1
        answer = json.loads(out)
        assert isinstance(answer, dict)
        assert not answer.keys() & {"decision", "continue", "stopReason"}
        assert b"permissionDecision" not in out


def wait_for(fact: Callable[[], bool]) -> None:
    """Poll until something is so; fail when it does not become so."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        assert time.monotonic() < until
        time.sleep(0.01)


def _lose_the_power_of_root() -> None:
    """Let permission bits count for root too."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl")
