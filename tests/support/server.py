"""A server-beta of a test: started from source as a user would, asked over HTTP, stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processes import clean_environment


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the JSON that came with it."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class Server:
    """A running server-beta."""

    data_dir: Path
    port: int

    @property
    def key(self) -> str:
        """The key that the server made for local use."""
        return self.data_dir.joinpath(".server-beta.key").read_text("ascii").strip()

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request with the local key; header names are given with underscores."""
        sent = {
            "Authorization": f"Bearer {self.key}",
            **{name.replace("_", "-"): text for name, text in headers.items()},
        }
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=15) as response:
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error))

    def hook(self, event: str, body: Mapping[str, object], **headers: str) -> Answer:
        """Send a hook event of a project that is named by its key."""
        return self.ask(
            "POST",
            f"/v1/hooks/claude-code/{event}",
            body,
            **{
                "X_Claude_Mem_Project": "git%3Aexample.org%2Fshop",
                "X_Claude_Mem_Event_Id": str(uuid.uuid4()),
                **headers,
            },
        )

    def observations(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return what was learned, newest first."""
        answer = self.ask("GET", "/v1/observations" + (f"?kind={kind}" if kind else ""))
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = answer.body["observations"]
        return found


def command(data_dir: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command of server-beta and wait for it."""
    return subprocess.run(
        [sys.executable, "-m", "server_beta", *arguments],
        env=clean_environment(data_dir, **{"CLAUDE_MEM_SERVER_PORT": "0", **settings}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@contextmanager
def running_server(data_dir: Path, **settings: str) -> Iterator[Server]:
    """Start a server for the length of a block."""
    started = command(data_dir, "start", "--json", **settings)
    assert started.returncode == 0, started.stderr
    try:
        yield Server(data_dir, json.loads(started.stdout)["port"])
    finally:
        stopped = command(data_dir, "stop", **settings)
        assert stopped.returncode == 0, stopped.stderr


def turn(session: str = "s-1", prompt: str = "p-1", file: str = "src/cart.py") -> list[tuple[str, dict[str, object]]]:
    """Return the hook events of a small turn that changes a file."""
    common: dict[str, object] = {"session_id": session, "prompt_id": prompt, "cwd": "/home/dev/shop"}
    edit = {
        "tool_name": "Edit",
        "tool_input": {"file_path": f"/home/dev/shop/{file}", "old_string": "total = 0", "new_string": "total = tax"},
        "tool_response": {"filePath": f"/home/dev/shop/{file}", "structuredPatch": []},
    }
    said = "Fixed the total: the cart now adds the tax. I decided to round half up."
    return [
        ("UserPromptSubmit", {**common, "prompt": "The cart's total is wrong, please fix it"}),
        ("PostToolUse", {**common, **edit}),
        ("Stop", {**common, "last_assistant_message": said}),
    ]
