"""Be the runtime: hold the lock, serve, publish the state files while ready, and end when asked to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Protocol

from ..domain.errors import ClaudeMemError, PortTaken, StartRefused
from . import identity, lockfile, logfile, port_owner, readiness, state
from .identity import ProcessIdentity
from .lockfile import Lock
from .runtime import Runtime
from .state import Running, StateFolder

STOP_SECONDS = 10.0
_CANCEL_SECONDS = 3.0
_ROTATE_SECONDS = 60.0
_ENDED_AT_ONCE = 130
_ENDED_LATE = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Announce = Callable[[readiness.Word], None]
NewEventLoop = Callable[[], asyncio.AbstractEventLoop]


class AlreadyRunning(StartRefused):
    """The runtime already runs in this data folder."""


class Serve(Protocol):
    """Start everything, call `ready(host, port)` once, and return after a graceful stop once `stop` is set."""

    async def __call__(self, stop: asyncio.Event, ready: Callable[[str, int], None], /) -> None:
        """Serve; raises a StartRefused when something that is configured cannot be used."""


def run(
    runtime: Runtime,
    folder: StateFolder,
    address: tuple[str, int],
    serve: Serve,
    *,
    announce: Announce,
    new_event_loop: NewEventLoop | None = None,
    owns_log: bool = False,
) -> None:
    """Serve until told to stop; raises StartRefused with one sentence when that is not possible.

    `address` is where the server is meant to listen; who holds it is looked up there when it is taken.
    """
    os.umask(0o077)
    try:
        lock = _become_owner(folder)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_Life(runtime, folder, lock, announce, owns_log).live(serve))
    except AlreadyRunning:
        announce(readiness.Busy())
        raise
    except Exception as error:
        refusal = _explain(error, runtime, folder, address)
        announce(readiness.Failed(str(refusal)))
        if refusal is error:
            raise
        raise refusal from error


def _explain(error: Exception, runtime: Runtime, folder: StateFolder, address: tuple[str, int]) -> ClaudeMemError:
    if isinstance(error, PortTaken) or port_owner.is_taken(error):
        host, port = address
        return PortTaken(
            f"Port {port} on {host} is held by {port_owner.describe(folder, host, port)}; "
            f"end it or set {runtime.port_setting} to another port."
        )
    if isinstance(error, ClaudeMemError):
        return error
    traceback.print_exception(error)
    return ClaudeMemError(f"{runtime.name} met an unexpected error and ended; its log is {folder.log}.")


def _become_owner(folder: StateFolder) -> Lock:
    folder.prepare()
    try:
        lock = lockfile.acquire(folder.lock, identity.current())
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise StartRefused(f"The file {folder.lock} cannot be locked ({reason}).") from error
    match lock:
        case lockfile.Held(holder):
            who = "a process that cannot be identified" if holder is None else f"pid {holder.pid}"
            raise AlreadyRunning(f"{folder.name} is already running in {folder.root} ({who}).")
        case Lock():
            _refuse_unproved_state(folder)
            return lock


def _refuse_unproved_state(folder: StateFolder) -> None:
    # The lock is ours, so whoever wrote the pid file has ended, unless the lock file was removed under it.
    match state.recorded_process(folder):
        case (pid, str(token)):
            may_run = identity.is_alive(ProcessIdentity(pid, token))
        case (pid, None):
            may_run = identity.exists(pid)
        case _:
            may_run = False
    if may_run:
        raise StartRefused(
            f"{folder.pid} names a running process that does not hold the lock, and nobody can tell whose it is; "
            "end that process or remove the file, then start again."
        )


class _Life:
    """The time between taking the lock and the end of the process."""

    def __init__(self, runtime: Runtime, folder: StateFolder, lock: Lock, announce: Announce, owns_log: bool) -> None:
        self._runtime = runtime
        self._folder = folder
        self._lock = lock
        self._announce = announce
        self._owns_log = owns_log
        self._asked_to_stop = False

    async def live(self, serve: Serve) -> None:
        stop = asyncio.Event()
        self._listen_for_signals(asyncio.get_running_loop(), stop)
        stopping = asyncio.create_task(stop.wait())
        serving = asyncio.ensure_future(serve(stop, self._publish))
        try:
            while not (serving.done() or stopping.done()):
                self._bound_log()
                await asyncio.wait({serving, stopping}, timeout=_ROTATE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            await self._see_it_end(serving)
        finally:
            stopping.cancel()
            state.withdraw(self._folder, self._lock.owner)
        if not self._asked_to_stop:
            raise ClaudeMemError(
                f"{self._runtime.name} ended although nobody asked it to; its log is {self._folder.log}."
            )

    async def _see_it_end(self, serving: asyncio.Future[None]) -> None:
        await asyncio.wait({serving}, timeout=STOP_SECONDS)
        if serving.done():
            serving.result()
            return
        serving.cancel()
        await asyncio.wait({serving}, timeout=_CANCEL_SECONDS)
        if not serving.done():
            print(f"{self._runtime.name} did not stop in time and was ended.", file=sys.stderr, flush=True)
            self._end_at_once(_ENDED_LATE)
        raise ClaudeMemError(f"{self._runtime.name} did not stop within {STOP_SECONDS:.0f} s and was cut off.")

    def _publish(self, host: str, port: int) -> None:
        now_ms = time.time_ns() // 1_000_000
        running = Running(self._runtime.name, self._runtime.version, self._lock.owner, host, port, now_ms)
        state.publish(self._folder, running)
        self._announce(readiness.Ready(self._lock.owner.pid, port))

    def _listen_for_signals(self, loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
        # Not loop.add_signal_handler: the second signal must also end a loop that is stuck or already closed.
        def handle(_number: int, _frame: FrameType | None) -> None:
            if self._asked_to_stop or loop.is_closed():
                self._end_at_once(_ENDED_AT_ONCE)
            self._asked_to_stop = True
            self._lock.tell(is_stopping=True)
            loop.call_soon_threadsafe(stop.set)

        for number in _SIGNALS:
            # nohup asks to outlive the terminal.
            if number is not signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, handle)

    def _bound_log(self) -> None:
        if self._owns_log:
            with suppress(OSError):  # a full disk must not end the server
                logfile.rotate_own_output(self._folder.log)

    def _end_at_once(self, exit_code: int) -> None:
        for number in _SIGNALS:  # more of them would interrupt this and begin it again
            signal.signal(number, signal.SIG_IGN)
        with suppress(OSError):
            state.withdraw(self._folder, self._lock.owner)
        os._exit(exit_code)
