"""The command line of the worker, and the way to server-beta's."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from ..version import VERSION
from .client import Address, local_address
from .command import Command, Context, dispatch
from .delegate import PREFIX, delegate
from .lifecycle import lifecycle_commands
from .output import Report
from .recall import recall_commands
from .runtime import Runtime

RUNTIME = Runtime("worker", "worker", VERSION, "CLAUDE_MEM_WORKER_PORT", prefers_uvloop=False)


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one command and return its exit code; `server-…` becomes server-beta's command line."""
    if argv and argv[0].startswith(PREFIX):
        return delegate(argv, env)
    commands = (
        *lifecycle_commands(),
        *recall_commands(_address),
        Command("doctor", "find out what keeps the worker from working", _doctor),
    )
    return dispatch(RUNTIME, commands, argv, env)


def _doctor(context: Context, options: argparse.Namespace) -> Report:
    from .doctor import doctor  # SQLite, which an agent that starts `mcp` should not wait for

    return doctor(context, options)


def _address(context: Context) -> Address:
    return local_address(context.runtime, context.folder)
