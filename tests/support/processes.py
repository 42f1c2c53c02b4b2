"""Run programs as a user would, and see that none of them stays behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from server_beta.engines import launch
from server_beta.engines.accounts import Account
from server_beta.engines.binaries import find_binaries

from .waiting import eventually_sync

REPOSITORY = Path(__file__).resolve().parents[2]

# An ordinary account with nothing of its own. Used where the tests themselves run as root.
UNPRIVILEGED_UID = 65534


@dataclass(frozen=True, slots=True)
class Running:
    """A process that belongs to a data folder."""

    pid: int
    command: str


def clean_environment(data_dir: Path, **more: str) -> dict[str, str]:
    """Return the environment of a program under test: nothing of the developer's own settings or home."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(data_dir),
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / source) for source in ("runtime", ".")),
        "CLAUDE_MEM_DATA_DIR": str(data_dir),
        **more,
    }


def start_python(
    arguments: Sequence[str | Path], data_dir: Path, more: Mapping[str, str] | None = None, uid: int | None = None
) -> subprocess.Popen[str]:
    """Start a Python program in a clean environment, its output in pipes; as root optionally under another account."""
    command: list[str | Path] = [sys.executable, *arguments]
    process = subprocess.Popen(
        command if uid is None else [*_switch_to(uid), *command],
        env=clean_environment(data_dir, **(more or {})),
        stdin=subprocess.DEVNULL if uid is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.stdin is not None:
        process.stdin.write("\n")
        process.stdin.close()
        process.stdin = None
    return process


@contextlib.contextmanager
def running_python(
    arguments: Sequence[str | Path], data_dir: Path, more: Mapping[str, str] | None = None, uid: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Do the same for the length of a block; whatever happens in it, the process is gone afterwards."""
    process = start_python(arguments, data_dir, more, uid)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def processes_of(data_dir: Path) -> tuple[Running, ...]:
    """Find the processes that name the data folder in their environment or command line, or work inside of it.

    Postgres overwrites its environment with the title that `ps` shows, so that alone would not find it.
    """
    if not Path("/proc/self/environ").exists():
        return tuple(_listed_by_ps(data_dir))
    return tuple(running for entry in Path("/proc").iterdir() if (running := _belonging(entry, data_dir)) is not None)


def assert_no_process(data_dir: Path, within: float = 5.0) -> None:
    """Fail, naming them, when processes of the data folder are still there after `within` seconds; end them too."""
    try:
        eventually_sync(lambda: not processes_of(data_dir), within)
    except AssertionError:
        left = processes_of(data_dir)
        for running in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)
        if left:
            names = "; ".join(f"{running.pid} {running.command}" for running in left)
            raise AssertionError(f"processes of {data_dir} were left: {names}") from None


@contextlib.contextmanager
def watched_data_dir() -> Iterator[Path]:
    """Make a data folder with a short path (sockets fit into it); no process of it may be left at the end."""
    data_dir = Path(tempfile.mkdtemp(prefix="cm-")).resolve()
    try:
        yield data_dir
        assert_no_process(data_dir)
    finally:
        with contextlib.suppress(AssertionError):
            assert_no_process(data_dir, within=0)
        shutil.rmtree(data_dir, ignore_errors=True)


def _switch_to(uid: int) -> list[str | Path]:
    # The repository may lie in root's home, which is closed to the account: hence the capability.
    folders = [Path(entry) for entry in sys.path if Path(entry).is_dir()]
    programs = [Path(sys.executable).resolve(), find_binaries().postgres]
    account = Account(uid, uid).reaching(REPOSITORY, programs, folders)
    capability = "-" if account.capability is None else str(account.capability)
    return [sys.executable, "-I", "-S", launch.__file__, str(uid), str(uid), capability]


def _belonging(entry: Path, data_dir: Path) -> Running | None:
    if not entry.name.isdigit() or int(entry.name) == os.getpid():
        return None
    try:
        if entry.joinpath("stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z":
            return None
        command = entry.joinpath("cmdline").read_bytes()
        told = command.split(b"\0")
    except OSError:
        return None
    with contextlib.suppress(OSError):
        told += entry.joinpath("environ").read_bytes().split(b"\0")
    with contextlib.suppress(OSError):
        told.append(os.fsencode(entry.joinpath("cwd").readlink()))
    folder = os.fsencode(data_dir)
    if any(text.rpartition(b"=")[2] == folder or folder + b"/" in text for text in told):
        return Running(int(entry.name), command.replace(b"\0", b" ").decode("utf-8", "replace").strip())
    return None


def _listed_by_ps(data_dir: Path) -> Iterator[Running]:
    listed = subprocess.run(["/bin/ps", "-Ewwaxo", "pid=,command="], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        if str(data_dir) in command and int(pid) != os.getpid():
            yield Running(int(pid), command)
