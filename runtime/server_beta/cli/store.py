"""Work on the store that the server reads, whether the server runs or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from ..domain.errors import ClaudeMemError, StartRefused
from ..settings import Settings
from . import health, identity, lockfile, state
from .command import Context
from .state import Running, StateFolder, reachable

if TYPE_CHECKING:
    from ..storage.database import Database

T = TypeVar("T")

# The first start makes a database, and a stop may take ten seconds.
_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.05


def run_on_store(context: Context, work: Callable[[Database], Awaitable[T]]) -> T:
    """Open the store, do the work and return its result; raises a ClaudeMemError, in one sentence."""
    import asyncpg  # heavy, like all that this needs, and no other command does

    from ..bootstrap import open_store
    from ..logs import write_logs

    async def run() -> T:
        async with open_store(settings, is_served=is_served) as database:
            return await work(database)

    settings = Settings.from_env(context.env)
    is_served = settings.database_url is None and _is_served(context, settings)
    # Not on standard output, where the answer goes.
    write_logs("error")
    try:
        return asyncio.run(run())
    except asyncpg.PostgresError as error:
        # Its text may quote what was asked for.
        raise ClaudeMemError(f"The database refused this ({type(error).__name__}).") from error


def _is_served(context: Context, settings: Settings) -> bool:
    """Wait until a server is ready on the embedded Postgres, or nobody uses it: then its lock is ours to run it."""
    folder = context.folder
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        lock = lockfile.look(folder.lock)
        if isinstance(lock, lockfile.Free):
            if _take(context, settings):
                return False
        elif (running := _ready(folder, lock)) is not None:
            _require_embedded(context, running)
            return True
        if time.monotonic() > deadline:
            raise StartRefused(f"{context.runtime.name} is starting or stopping, and takes long; try again later.")
        time.sleep(_PAUSE_SECONDS)


def _take(context: Context, settings: Settings) -> bool:
    if settings.remote_url is not None:
        raise StartRefused(
            "CLAUDE_MEM_SERVER_URL names a server elsewhere, and its store is not here; run this on that machine, "
            "or set CLAUDE_MEM_SERVER_DATABASE_URL to the database of that server."
        )
    context.folder.prepare()
    return isinstance(lockfile.acquire(context.folder.lock, identity.current()), lockfile.Lock)


def _ready(folder: StateFolder, lock: lockfile.Held) -> Running | None:
    # Another command that works on the store holds the lock, too, and says nothing about itself.
    running = state.read(folder)
    return running if running is not None and running.process == lock.holder and not lock.is_stopping else None


def _require_embedded(context: Context, running: Running) -> None:
    answer = health.ask_health(reachable(running.host), running.port)
    match answer.body if answer is not None else {}:
        case {"postgres": {"embedded": False}}:
            raise StartRefused(
                f"The running {context.runtime.name} uses another database than these settings name; set "
                "CLAUDE_MEM_SERVER_DATABASE_URL as it has it, best in "
                f"{context.folder.root / 'settings.json'}, where every shell finds it."
            )
