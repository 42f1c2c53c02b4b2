"""The embedded Postgres: a server of our own in the data folder, for as long as this process lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections import deque
from pathlib import Path

import structlog

from ..domain.errors import EngineFailed
from .accounts import Account, server_account
from .binaries import Binaries, find_binaries
from .cluster import check_version, create_cluster
from .configuration import SETTINGS
from .leftover import PostmasterFile, clear_leftover
from .log import Log
from .passwords import Passwords
from .processes import end, kill, spawn
from .provision import prepare_database
from .sockets import PORT, close_socket_folder, is_silent, open_socket_folder

# Recovery after a crash replays at most `max_wal_size`; a slow disk needs its time for that.
_START_SECONDS = 90.0

# How long the children of a killed server may take to end, and how often the log's size is looked at.
_ORPHAN_SECONDS = 15.0
_LOG_SECONDS = 60.0

# How often a server that ends by itself (the system's memory ran out, somebody killed it) is started again.
_LOOK_SECONDS = 0.25
# One that runs and says nothing is asked now and then, and once more before it is given up: where this process itself
# was held up (a laptop that slept), the second answer comes at once.
_ASK_SECONDS = 2.0
_SILENCE_SECONDS = 8.0
_LAST_SILENCE_SECONDS = 2.0
_STOP_SILENCE_SECONDS = 1.0
_MOST_RESTARTS = 5
_RESTART_WINDOW_SECONDS = 600.0

_journal = structlog.get_logger()


class EmbeddedPostgres:
    """Run Postgres in `<data_dir>/postgres`. The caller holds the data folder's lock: one server, one cluster.

    `cluster/` there belongs to the account that runs the server and holds everything worth a backup together with
    `passwords.json`; `process.json` recognises the server after a crash of ours; `postgres.log` is bounded.
    """

    def __init__(self, data_dir: Path) -> None:
        self._home = data_dir.absolute() / "postgres"
        self._cluster = self._home / "cluster"
        self._record = self._home / "process.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_folder: Path | None = None
        self._log: Log | None = None
        self._tending: asyncio.Task[None] | None = None
        self._dsn = ""

    async def start(self) -> str:
        """Start the server, at the first time make its database, and return the DSN for asyncpg and psycopg.

        Call it in the main thread: the server gets a shutdown signal when the thread that started it ends.
        Raises EngineFailed, and leaves no process then.
        """
        if self.is_alive():
            return self._dsn
        await self.stop()
        try:
            return await self._start()
        except OSError as error:
            await self.stop()
            raise EngineFailed(
                f"The embedded Postgres cannot start: {error.strerror or error} ({error.filename or self._home})."
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Shut the server down, the fast and clean way first, and return when its processes are gone."""
        if self._tending is not None:
            self._tending.cancel()
            self._tending = None
        if self._process is not None and await self._end(self._process):
            self._process = None
            self._record.unlink(missing_ok=True)
        if self._socket_folder is not None:
            close_socket_folder(self._socket_folder, self._home)
            self._socket_folder = None
        if self._log is not None:
            self._log.close()
            self._log = None

    async def keep_alive(self) -> None:
        """Start the server again, under the same DSN, whenever it ends or says nothing for ten seconds.

        Raises EngineFailed when it cannot.
        """
        restarts: deque[float] = deque(maxlen=_MOST_RESTARTS)
        asked_at = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._process is not None and self.is_alive():
                if time.monotonic() < asked_at + _ASK_SECONDS:
                    continue
                hangs = await self._is_silent(_SILENCE_SECONDS) and await self._is_silent(_LAST_SILENCE_SECONDS)
                asked_at = time.monotonic()
                if not hangs:
                    continue
                _journal.error("the embedded Postgres does not answer; killing it", action="engine_hung")
                await kill(self._process)
            now = time.monotonic()
            if len(restarts) == _MOST_RESTARTS and now - restarts[0] < _RESTART_WINDOW_SECONDS:
                raise EngineFailed(
                    f"The embedded Postgres ended {_MOST_RESTARTS + 1} times within ten minutes; "
                    f"see {self._home / 'postgres.log'}."
                )
            restarts.append(now)
            _journal.error("the embedded Postgres ended; starting it again", action="engine_restarted")
            await self.start()

    def is_alive(self) -> bool:
        """Whether the server process runs."""
        return self._process is not None and self._process.poll() is None

    async def _end(self, process: subprocess.Popen[bytes]) -> bool:
        return await (kill(process) if await self._is_silent(_STOP_SILENCE_SECONDS) else end(process))

    async def _is_silent(self, seconds: float) -> bool:
        return self._socket_folder is not None and await is_silent(self._socket_folder, seconds)

    async def _start(self) -> str:
        self._make_home()
        binaries = find_binaries()
        check_version(self._cluster)
        account = server_account(self._cluster)
        self._log = log = Log(self._home / "postgres.log")
        await clear_leftover(self._cluster, self._record)
        is_new = not self._cluster.exists()
        if is_new:
            passwords = Passwords.make(self._home / "passwords.json")
            await create_cluster(self._cluster, binaries, account, passwords.superuser, log)
        else:
            passwords = Passwords.load(self._home / "passwords.json")
        # Asked for before anything is made in the socket's folder, because it says best what root may lack.
        account = account.reaching(self._cluster, [binaries.postgres], binaries.folders)
        self._socket_folder = open_socket_folder(self._home, account)
        await self._launch(binaries, account, self._socket_folder, log)
        self._dsn = await prepare_database(self._socket_folder, passwords, is_new)
        self._tending = asyncio.create_task(_tend(log))
        return self._dsn

    def _make_home(self) -> None:
        self._home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._home.mkdir(exist_ok=True)
        # As root the server's account passes through to what it owns, and sees nothing on its way.
        self._home.chmod(0o711 if os.geteuid() == 0 else 0o700)

    async def _launch(self, binaries: Binaries, account: Account, socket_folder: Path, log: Log) -> None:
        settings = {**SETTINGS, "unix_socket_directories": str(socket_folder), "port": str(PORT)}
        command: list[str | Path] = [binaries.postgres, "-D", self._cluster]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        began = time.monotonic()
        while True:
            log.mark()
            self._process = spawn(command, account, log.fileno(), self._record)
            if await self._becomes_ready(self._process, began + _START_SECONDS, log):
                return
            reason = log.reason()
            # The children of a server that was killed notice it after a moment, and end.
            if "pre-existing shared memory block" not in reason or time.monotonic() > began + _ORPHAN_SECONDS:
                raise EngineFailed(f"The embedded Postgres ended while it started: {reason}; see {log.path}.")
            await asyncio.sleep(0.1)

    async def _becomes_ready(self, process: subprocess.Popen[bytes], patience: float, log: Log) -> bool:
        while process.poll() is None:
            written = PostmasterFile.read(self._cluster)
            if written is not None and written.pid == process.pid and written.is_ready:
                return True
            if time.monotonic() > patience:
                raise EngineFailed(f"The embedded Postgres was not ready in {_START_SECONDS:.0f} s; see {log.path}.")
            await asyncio.sleep(0.01)
        return False


async def _tend(log: Log) -> None:
    while True:
        await asyncio.sleep(_LOG_SECONDS)
        with contextlib.suppress(OSError):
            log.trim()
