"""Start the runtime in the background and answer when it is ready."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from ..domain.errors import StartRefused
from . import health, launch, lockfile, logfile, readiness, state
from .identity import ProcessIdentity
from .output import Report
from .runtime import Runtime
from .state import Running, StateFolder

READY_SECONDS = 60.0  # the first start makes a database
_END_SECONDS = 15.0
_UNPROVED_SECONDS = 5.0
_SILENT_SECONDS = 5.0
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Started:
    """This call started the process."""

    pid: int
    port: int


def start(runtime: Runtime, folder: StateFolder, env: Mapping[str, str]) -> Report:
    """Start the runtime, or find it already running; raises StartRefused with one sentence."""
    folder.prepare()
    deadline = time.monotonic() + READY_SECONDS
    while True:
        match lockfile.look(folder.lock):
            case lockfile.Free():
                started = _spawn(runtime, folder, env, deadline)
                if started is not None:
                    return _report(runtime, "ready", started.pid, started.port, "is ready")
            case lockfile.Held(holder):
                running = _await_ready(runtime, folder, holder, deadline)
                if running is not None:
                    return _report(
                        runtime, "already running", running.process.pid, running.port, _same(runtime, running)
                    )
        time.sleep(_PAUSE_SECONDS)


def _spawn(runtime: Runtime, folder: StateFolder, env: Mapping[str, str], deadline: float) -> Started | None:
    """Start the process and hear what it says; None when another start was faster."""
    reading, writing = os.pipe()
    log = logfile.open_for_append(folder.log)
    try:
        child = subprocess.Popen(
            launch.command(runtime.package, ["run", "--ready-fd", str(writing)]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder.root,
            env={**launch.environment(env), "CLAUDE_MEM_DATA_DIR": str(folder.root)},
            pass_fds=(writing,),
            start_new_session=True,
        )
    finally:
        os.close(log)
        os.close(writing)
    try:
        word = readiness.receive(reading, deadline)
    finally:
        os.close(reading)
    match word:
        case readiness.Ready(pid, port):
            return Started(pid, port)
        case readiness.Busy():
            _see_it_end(child)
            return None
        case readiness.Failed(message):
            _see_it_end(child)
            raise StartRefused(message)
        case readiness.Silent():
            _see_it_end(child)
            raise StartRefused(f"{runtime.name} ended before it was ready; its log is {folder.log}.")
        case readiness.TimedOut():
            child.terminate()
            _see_it_end(child)
            raise StartRefused(
                f"{runtime.name} was not ready within {READY_SECONDS:.0f} s and was stopped; its log is {folder.log}."
            )
        case _ as unreachable:
            assert_never(unreachable)


def _see_it_end(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _await_ready(
    runtime: Runtime, folder: StateFolder, holder: ProcessIdentity | None, deadline: float
) -> Running | None:
    """Wait until the holder of the lock is ready; None when it no longer holds the lock."""
    unproved_until = time.monotonic() + _UNPROVED_SECONDS
    answer_until = None
    while True:
        lock = lockfile.look(folder.lock)
        if isinstance(lock, lockfile.Free) or lock.holder != holder:
            return None
        now = time.monotonic()
        running = state.read(folder)
        if holder is None:
            if now >= unproved_until:
                raise StartRefused(
                    f"{folder.lock} is locked by a process that cannot be identified; nothing was started."
                )
        elif running is not None and running.process == holder and not lock.is_stopping:
            if health.answers(running):
                return running
            answer_until = answer_until or now + _SILENT_SECONDS
            if now >= answer_until:
                raise StartRefused(
                    f"{runtime.name} (pid {holder.pid}) is running but does not answer on {running.url}; "
                    "restart it, or look at its logs."
                )
        elif now >= deadline:
            word = "stopping but has not ended" if lock.is_stopping else "starting but is not ready"
            raise StartRefused(f"{runtime.name} (pid {holder.pid}) is {word}; look at {folder.log}.")
        time.sleep(_PAUSE_SECONDS)


def _same(runtime: Runtime, running: Running) -> str:
    if running.version == runtime.version:
        return "is already running"
    return f"is already running in version {running.version} (this is {runtime.version}; restart changes over)"


def _report(runtime: Runtime, status: str, pid: int, port: int, sentence: str) -> Report:
    data = {"status": status, "runtime": runtime.name, "pid": pid, "port": port}
    return Report(f"{runtime.name} {sentence}: pid {pid}, port {port}.", data)
