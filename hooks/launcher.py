"""Run `launcher.py <command> [arguments]`: the right bundle with a Python that it can use, in this very process.

`server-start`, `server-status` and every other `server-…` command belong to server-beta.pyz, `mcp` to the runtime that
the hooks write to, all else to worker.pyz. The bundles know their commands and answer an unknown one by naming them.
They also unpack themselves, below the folder that this program chooses, and remove there what older builds have left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import NoReturn

    from hooks.capture.settings import Settings, data_folder
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from capture.settings import Settings, data_folder

_USAGE = """\
claude-mem: long-term memory for coding agents

  claude-mem <command>          the local worker: start, stop, restart, status, search, doctor, …
  claude-mem server-<command>   the server-beta runtime: server-start, server-stop, server-status, server-doctor, …
  claude-mem mcp                serve the memory of the runtime that CLAUDE_MEM_RUNTIME names to an agent

A command that does not exist is answered with the names of those that do."""
_SERVER_PREFIX = "server-"
_RUNTIMES = ("worker", "server-beta")
_OLDEST = (3, 11)
# server-beta.pyz holds compiled modules for these; a newer Python is the last choice.
_BUILT_FOR = ((3, 14), (3, 13), (3, 12), (3, 11))


def main(arguments: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by the bundle that knows the command; exit 1 with one sentence where that is impossible."""
    if not arguments or arguments[0] in ("help", "-h", "--help"):
        print(_USAGE)
        sys.exit(0)
    command, *rest = arguments
    runtime = "worker"
    if command.startswith(_SERVER_PREFIX):
        runtime, command = "server-beta", command[len(_SERVER_PREFIX) :]
    elif command == "mcp":
        runtime = chosen_runtime(environment)
    bundle = find_bundle(f"{runtime}.pyz", environment)
    python = find_python(environment)
    os.execve(python, [python, "-I", bundle, command, *rest], {**environment, "SHIV_ROOT": unpack_folder(environment)})


def chosen_runtime(environment: Mapping[str, str]) -> str:
    """Read which runtime the hooks write to."""
    runtime = Settings(environment).text("CLAUDE_MEM_RUNTIME").lower() or _RUNTIMES[0]
    if runtime not in _RUNTIMES:
        sys.exit(f"CLAUDE_MEM_RUNTIME={runtime[:40]} is not known; set it to {' or '.join(_RUNTIMES)}.")
    return runtime


def find_bundle(name: str, environment: Mapping[str, str]) -> str:
    """Find a bundle beside the hooks of an installed plugin, or where a source checkout builds it."""
    above = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    folders = [environment.get("CLAUDE_MEM_BUNDLES", ""), os.path.join(above, "runtime"), os.path.join(above, "dist")]
    for folder in folders:
        path = os.path.abspath(os.path.join(folder, name))
        if folder and os.path.isfile(path):
            return path
    looked = ", ".join(folder for folder in folders if folder)
    sys.exit(f"{name} is not in {looked}; install the plugin again, or run `make bundle` in a source checkout.")


def find_python(environment: Mapping[str, str]) -> str:
    """Find a Python that the bundles run on: this one, else the newest on PATH."""
    newer = ""
    for path in _candidates(environment):
        version = _version_of(path)
        if version in _BUILT_FOR:
            return path
        if version > _OLDEST:
            newer = newer or path
    if newer:
        return newer
    sys.exit("claude-mem needs Python 3.11 or newer and found none on PATH; install one as python3.")


def unpack_folder(environment: Mapping[str, str]) -> str:
    """Choose where bundles unpack themselves: a folder that goes when the plugin goes, else one beside the data."""
    if environment.get("SHIV_ROOT"):
        return environment["SHIV_ROOT"]
    folder = environment.get("CLAUDE_PLUGIN_DATA") or data_folder(environment)
    if not folder:
        sys.exit("claude-mem found no home folder; set CLAUDE_MEM_DATA_DIR to a folder of yours.")
    with contextlib.suppress(OSError):  # the bundle says what is wrong with it
        os.makedirs(folder, mode=0o700, exist_ok=True)
    return os.path.join(folder, "bundles")


def _candidates(environment: Mapping[str, str]) -> Iterator[str]:
    if sys.executable:
        yield sys.executable
    for name in (*(f"python{major}.{minor}" for major, minor in _BUILT_FOR), "python3", "python"):
        found = shutil.which(name, path=environment.get("PATH"))
        if found:
            yield found


def _version_of(python: str) -> tuple[int, int]:
    """Ask a Python for its version: what is on PATH may be a stub that only tells how to install one."""
    if python == sys.executable:
        return sys.version_info[:2]
    question = [python, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, timeout=10, check=True).stdout
        major, minor = answer.split()
        return int(major), int(minor)
    except (OSError, subprocess.SubprocessError, ValueError):
        return (0, 0)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
