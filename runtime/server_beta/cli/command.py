"""Commands as values, and the one place where a command line becomes a call and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..domain.errors import ClaudeMemError
from ..overrides import data_folder
from .output import Report, emit, emit_failure
from .runtime import Runtime
from .state import StateFolder

_USAGE = 2
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Context:
    """What every command knows: the runtime, the environment it was called in, and its folder."""

    runtime: Runtime
    env: Mapping[str, str]
    folder: StateFolder


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, its line in the help, what it does, and the arguments it takes besides `--json`."""

    name: str
    help: str
    answer: Callable[[Context, argparse.Namespace], Report]
    arguments: Callable[[argparse.ArgumentParser], object] = lambda _parser: None


def dispatch(runtime: Runtime, commands: Sequence[Command], argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the command that `argv` names and return the exit code; a bad command line is 2 and says what exists."""
    parser = _parser(runtime, commands)
    names = [command.name for command in commands]
    word = next((argument for argument in argv if not argument.startswith("-")), None)
    if word is not None and word not in names:
        print(f"{runtime.name} has no command {word!r}; it has: {', '.join(names)}.", file=sys.stderr)
        return _USAGE
    options = parser.parse_args(argv)
    if word is None:
        parser.print_help(sys.stderr)
        return _USAGE
    command = commands[names.index(word)]
    try:
        folder = StateFolder(data_folder(env), runtime.name)
        return emit(command.answer(Context(runtime, env, folder), options), options.json)
    except ClaudeMemError as error:
        return emit_failure(runtime.name, str(error), options.json)
    except BrokenPipeError:
        # Who read our output has gone. The interpreter would complain about it at exit once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        return emit_failure(runtime.name, f"{place}{error.strerror or 'the system refused'}.", options.json)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser(runtime: Runtime, commands: Sequence[Command]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=runtime.name, description=f"claude-mem {runtime.name} {runtime.version}")
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for command in commands:
        subparser = subparsers.add_parser(command.name, help=command.help, description=command.help)
        # The value given before the command must survive when it is not given again after it.
        subparser.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="answer with one JSON object"
        )
        command.arguments(subparser)
    return parser
