"""The real Claude Code client: installed from its pinned package, run headless against the scripted API."""

from __future__ import annotations

import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import REPOSITORY

VERSION = "2.1.330"
# The oldest client that the plugin supports: an unknown event name would disable all of its hooks there.
OLDEST_VERSION = "2.1.197"
_PACKAGE = "@anthropic-ai/claude-code"
_CACHE = REPOSITORY / ".cache" / "real_client"
_INSTALL_SECONDS = 300


class NotInstallable(Exception):
    """The client cannot be had on this machine; the message says why."""


def install(version: str) -> Path:
    """Return the client's program, installed with npm at the first call; raises NotInstallable."""
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstallable("npm is not installed")
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise NotInstallable(f"no pinned client for {platform.system()} {platform.machine()}")
    folder = _CACHE / version
    program = folder / "node_modules" / "@anthropic-ai" / "claude-code-linux-x64" / "claude"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [
                npm,
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                str(folder),
                f"{_PACKAGE}@{version}",
            ],
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0 or not program.exists():
            raise NotInstallable(f"npm could not install {_PACKAGE}@{version}: {done.stderr.strip()[-300:]}")
    return program


@dataclass(frozen=True, slots=True)
class Client:
    """An installed client with a home of its own."""

    program: Path
    home: Path
    settings: dict[str, str]

    def run(self, *arguments: str, folder: Path | None = None, port: int = 9) -> subprocess.CompletedProcess[str]:
        """Run the client; `port` is the scripted API's."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=folder or self.home,
            env=self._environment(port),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ask(self, prompt: str, folder: Path, port: int) -> None:
        """Run one headless session."""
        done = self.run("-p", "--dangerously-skip-permissions", "--", prompt, folder=folder, port=port)
        assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])

    def _environment(self, port: int) -> dict[str, str]:
        temporary = self.home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "SHELL": "/bin/bash",
            "TMPDIR": str(temporary),
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
            "ANTHROPIC_API_KEY": "not-a-key",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_ERROR_REPORTING": "1",
            # The client refuses --dangerously-skip-permissions as root unless it is told that it is in a sandbox.
            "IS_SANDBOX": "1",
            **self.settings,
        }
