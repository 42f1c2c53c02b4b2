"""The embedded Postgres as its tests use it, and a program that runs it as the server does.

`python -m tests.support.embedded_postgres` prints one line of JSON when the database is ready or has failed, and
stops it at a SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from server_beta.domain.errors import EngineFailed
from server_beta.engines.passwords import Passwords
from server_beta.engines.postgres import EmbeddedPostgres
from server_beta.engines.provision import connection_string

from .processes import running_python


@contextlib.contextmanager
def running_server(data_dir: Path, uid: int | None = None) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the program for the length of a block; gives it and its DSN. The block may kill it."""
    with running_python(["-m", "tests.support.embedded_postgres"], data_dir, uid=uid) as program:
        yield program, answer_of(program)["dsn"]


def answer_of(program: subprocess.Popen[str]) -> dict[str, str]:
    """Read the program's line: `dsn` or `failed`."""
    assert program.stdout is not None
    line = program.stdout.readline()
    if not line:
        raise AssertionError(f"the program ended: {program.communicate()[1]}")
    answer: dict[str, str] = json.loads(line)
    return answer


async def fetch(dsn: str, query: str) -> object:
    """Run one statement and return its first value."""
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def superuser_dsn(data_dir: Path) -> str:
    """Return the DSN of the superuser; the socket is in the data folder."""
    home = data_dir / "postgres"
    return connection_string(home / "socket", "postgres", Passwords.load(home / "passwords.json").superuser, "postgres")


def postmaster_pid(data_dir: Path) -> int:
    """Return the process number that the server itself has written down."""
    return int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


async def main(data_dir: Path) -> int:
    """Run until the SIGTERM; 1 when the database did not start."""
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    engine = EmbeddedPostgres(data_dir)
    try:
        dsn = await engine.start()
    except EngineFailed as error:
        sys.stdout.write(json.dumps({"failed": str(error)}) + "\n")
        return 1
    sys.stdout.write(json.dumps({"dsn": dsn}) + "\n")
    sys.stdout.flush()
    await asked_to_stop.wait()
    await engine.stop()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(os.environ["CLAUDE_MEM_DATA_DIR"]))))
