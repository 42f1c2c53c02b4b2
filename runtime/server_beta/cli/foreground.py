"""The command `run`: the server of this package, told about to whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from ..settings import Settings
from . import readiness
from .command import Context
from .output import Report, emit
from .process import run


def run_foreground(context: Context, settings: Settings, pipe: readiness.Pipe | None, *, as_json: bool) -> Report:
    """Serve until told to stop; with a pipe the waiting `start` hears of it and the output is the log."""
    runtime = context.runtime

    def announce(word: readiness.Word) -> None:
        if pipe is not None:
            pipe.say(word)
        elif isinstance(word, readiness.Ready):
            data = {"status": "ready", "runtime": runtime.name, "pid": word.pid, "port": word.port}
            emit(Report(f"{runtime.name} is ready: pid {word.pid}, port {word.port}.", data), as_json)

    run(
        runtime,
        context.folder,
        (settings.host, settings.port),
        partial(_serve, settings),
        announce=announce,
        new_event_loop=_uvloop() if runtime.prefers_uvloop else None,
        owns_log=pipe is not None,
    )
    return Report(f"{runtime.name} is stopped.", {"status": "stopped", "runtime": runtime.name})


async def _serve(settings: Settings, stop: asyncio.Event, ready: Callable[[str, int], None]) -> None:
    # Late, because it imports the whole server: only who holds the lock pays for that.
    from ..bootstrap import serve

    await serve(settings, stop, ready)


def _uvloop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # not on every platform, and not in every bundle
    except ImportError:
        return None
    return new_event_loop
