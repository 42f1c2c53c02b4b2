"""Hand `server-<command>` over to server-beta, which says itself which commands it has."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from . import launch
from .output import emit_failure

PREFIX = "server-"
_BUNDLE = "server-beta.pyz"


def delegate(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Become server-beta; returns an exit code only when there is none beside this program."""
    command = _server_command([argv[0].removeprefix(PREFIX), *argv[1:]])
    if command is not None:
        os.execve(command[0], command, launch.environment(env))
    return emit_failure(
        "server-beta", f"{_BUNDLE} is not beside {launch.bundle()}; install claude-mem again.", "--json" in argv
    )


def _server_command(arguments: Sequence[str]) -> list[str] | None:
    own_bundle = launch.bundle()
    if own_bundle is None:
        return launch.command("server_beta", arguments)
    # A link to the worker may lie elsewhere than both bundles do.
    beside = (own_bundle.with_name(_BUNDLE), own_bundle.resolve().with_name(_BUNDLE))
    found = next((bundle for bundle in beside if bundle.is_file()), None)
    return None if found is None else [sys.executable, str(found), *arguments]
