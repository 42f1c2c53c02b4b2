"""The command line of server-beta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..version import VERSION
from .command import Command, dispatch
from .doctor import doctor
from .lifecycle import lifecycle_commands
from .migrate import migrate
from .runtime import Runtime

RUNTIME = Runtime("server-beta", "server_beta", VERSION, "CLAUDE_MEM_SERVER_PORT", prefers_uvloop=True)


def run(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run one command and return its exit code."""
    commands = (
        *lifecycle_commands(),
        Command("doctor", "find out what keeps the server from working", doctor),
        Command("migrate", "bring an external database to this version's schema", migrate),
    )
    return dispatch(RUNTIME, commands, argv, env)
