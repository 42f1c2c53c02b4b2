"""The commands that both runtimes have: start, stop, restart, status, run, logs and version."""

from __future__ import annotations

import argparse
import json

from ..settings import Settings
from . import logfile, readiness
from .command import Command, Context
from .output import Report
from .restart import restart
from .start import start
from .status import status
from .stop import stop


def lifecycle_commands() -> tuple[Command, ...]:
    """List them in the order of the help."""
    return (
        Command("start", "start in the background and answer when ready", _start),
        Command("stop", "stop and answer when gone", _stop),
        Command("restart", "stop, then start as a new process", _restart),
        Command("status", "report the health: exit 0 ready, 1 degraded, starting or stopping, 3 down", _status),
        Command("run", "serve in the foreground until interrupted", _run, _run_arguments),
        Command("logs", "print the end of the log", _logs, _logs_arguments),
        Command("version", "print the version", _version),
    )


def _start(context: Context, _options: argparse.Namespace) -> Report:
    Settings.from_env(context.env)  # a wrong setting is told here, before anything runs
    return start(context.runtime, context.folder, context.env)


def _stop(context: Context, _options: argparse.Namespace) -> Report:
    return stop(context.runtime, context.folder)


def _restart(context: Context, _options: argparse.Namespace) -> Report:
    Settings.from_env(context.env)  # before the stop: a wrong setting must not take a working server away
    return restart(context.runtime, context.folder, context.env)


def _status(context: Context, _options: argparse.Namespace) -> Report:
    return status(context.runtime, context.folder)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)


def _run(context: Context, options: argparse.Namespace) -> Report:
    from .foreground import run_foreground  # the server is heavy and no other command needs it

    pipe = None if options.ready_fd is None else readiness.Pipe(options.ready_fd)
    try:
        settings = Settings.from_env(context.env)
    except Exception as error:
        if pipe is not None:
            pipe.say(readiness.Failed(str(error)))
        raise
    return run_foreground(context, settings, pipe, as_json=options.json)


def _logs_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--lines", type=_count, default=100, metavar="N", help="how many lines (100)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")


def _logs(context: Context, options: argparse.Namespace) -> Report:
    path = context.folder.log
    if options.follow:
        for line in logfile.follow(path, options.lines):
            print(json.dumps({"line": line}, ensure_ascii=False) if options.json else line, flush=True)
    lines = logfile.tail(path, options.lines)
    text = "\n".join(lines) if lines else f"There is no log yet in {path}."
    return Report(text, {"path": str(path), "lines": lines})


def _version(context: Context, _options: argparse.Namespace) -> Report:
    runtime = context.runtime
    return Report(f"{runtime.name} {runtime.version}", {"runtime": runtime.name, "version": runtime.version})


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 1_000_000:
        raise argparse.ArgumentTypeError("a whole number up to 1000000 is wanted")
    return int(text)
