"""The cluster: the folder of Postgres' files. It appears whole or not at all."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from ..domain.errors import EngineFailed
from .accounts import Account, named_account
from .binaries import MAJOR_VERSION, Binaries
from .log import Log
from .private_file import write_private
from .processes import spawn

_INITDB_SECONDS = 120.0
_ABANDONED_SECONDS = 10.0


def check_version(cluster: Path) -> None:
    """Raise EngineFailed unless the cluster is absent or one that these programs can open."""
    if not cluster.exists():
        return
    try:
        version = (cluster / "PG_VERSION").read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise EngineFailed(
            f"{cluster} does not hold a Postgres database; restore it from a backup, "
            "or move it away to begin with an empty memory."
        ) from error
    if version != MAJOR_VERSION:
        raise EngineFailed(
            f"The database in {cluster} was made by Postgres {version}, and claude-mem has Postgres {MAJOR_VERSION} "
            "now, which cannot open it: export the memory with the version that made it, "
            f"move {cluster.parent} away and import it again."
        )


async def create_cluster(cluster: Path, binaries: Binaries, server: Account, password: str, log: Log) -> None:
    """Run initdb beside the final place, with a password for the superuser `postgres`, and move the result there."""
    home = cluster.parent
    for abandoned in home.glob("new-*"):
        await asyncio.to_thread(_remove, abandoned)
    account = named_account(server).reaching(cluster, [binaries.initdb, binaries.postgres], binaries.folders)
    work = Path(tempfile.mkdtemp(prefix="new-", dir=home))
    try:
        write_private(work / "password", password)
        account.give(work / "password")
        account.give(work)
        await _run_initdb(work, binaries, account, log)
        server.take_over(work / cluster.name, account)
        (work / cluster.name).rename(cluster)
        _sync(home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _remove(abandoned: Path) -> None:
    # An initdb whose server was killed ends a moment later, and until then fills the folder that is being emptied.
    patience = time.monotonic() + _ABANDONED_SECONDS
    while abandoned.exists() and time.monotonic() < patience:
        shutil.rmtree(abandoned, ignore_errors=True)
        time.sleep(0.05)


async def _run_initdb(work: Path, binaries: Binaries, account: Account, log: Log) -> None:
    command: list[str | Path] = [binaries.initdb, "-D", work / "cluster", "--username=postgres"]
    command += [f"--pwfile={work / 'password'}", "--auth-local=scram-sha-256", "--auth-host=reject"]
    # The builtin provider gives the same order and the same case rules on every system, and for ever.
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += ["--text-search-config=simple", "--no-instructions"]
    log.mark()
    process = spawn(command, account, log.fileno())
    try:
        if not await _ends(process):
            raise EngineFailed(f"Making the embedded database took more than {_INITDB_SECONDS:.0f} s; see {log.path}.")
    finally:
        if process.poll() is None:
            # The whole session, because initdb runs a postgres of its own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode != 0:
        raise EngineFailed(f"The embedded database could not be made: {log.reason()}; see {log.path}.")


async def _ends(process: subprocess.Popen[bytes]) -> bool:
    patience = time.monotonic() + _INITDB_SECONDS
    while process.poll() is None:
        if time.monotonic() > patience:
            return False
        await asyncio.sleep(0.01)
    return True


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
