"""The command line of server-beta."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from ..version import VERSION
from .api_key import api_key_command
from .command import Command, Context, dispatch
from .lifecycle import lifecycle_commands
from .output import Report
from .recall import recall_commands
from .remote import server_address
from .runtime import Runtime

RUNTIME = Runtime("server-beta", "server_beta", VERSION, "CLAUDE_MEM_SERVER_PORT", prefers_uvloop=True)


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one command and return its exit code."""
    commands = (
        *lifecycle_commands(),
        *recall_commands(server_address),
        api_key_command(),
        Command("doctor", "find out what keeps the server from working", _doctor),
        Command("migrate", "bring an external database to this version's schema", _migrate),
    )
    return dispatch(RUNTIME, commands, argv, env)


# Both import an event loop, which an agent that starts `mcp` should not wait for.
def _doctor(context: Context, options: argparse.Namespace) -> Report:
    from .doctor import doctor

    return doctor(context, options)


def _migrate(context: Context, options: argparse.Namespace) -> Report:
    from .migrate import migrate

    return migrate(context, options)
