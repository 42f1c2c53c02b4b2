"""Stop the runtime and start it as a new process."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .output import Report
from .runtime import Runtime
from .start import start
from .state import StateFolder
from .stop import end


def restart(runtime: Runtime, folder: StateFolder, env: Mapping[str, str]) -> Report:
    """Answer with the new process and the pid of the one that it replaces."""
    stopped = end(runtime, folder)
    report = start(runtime, folder, env)
    previous_pid = None if stopped is None else stopped.process.pid
    replaced = "" if previous_pid is None else f" It replaces pid {previous_pid}."
    return dataclasses.replace(
        report, text=f"{report.text}{replaced}", data={**report.data, "previousPid": previous_pid}
    )
