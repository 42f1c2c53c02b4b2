"""The command `search`: what the memory holds about some words."""

from __future__ import annotations

import argparse

from . import listing
from .memory import ALL_PROJECTS, Memory, Question
from .output import Report


def search(memory: Memory, question: Question) -> Report:
    """Search and report; hits from all projects say which one each is from."""
    scope, found = memory.search(question)
    names = project_names(memory) if scope.is_all and found else {}
    return Report(listing.found(scope, found, names), {"observations": found})


def project_names(memory: Memory) -> dict[str, str]:
    """Give every project's name by its id."""
    return {str(project.get("id")): str(project.get("name") or project.get("key")) for project in memory.projects()}


def search_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("query", nargs="+", metavar="QUERY", help="words to look for, or an observation's id")
    parser.add_argument(
        "--project",
        metavar="KEY",
        help=f"key or name of a project, {ALL_PROJECTS!r} for all; this folder's when left out",
    )
    parser.add_argument("--limit", type=_limit, default=20, metavar="N", help="how many at most (20)")


def question_of(options: argparse.Namespace) -> Question:
    """Read the question off the command line."""
    return Question(" ".join(options.query), options.project, options.limit)


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:4]) <= 100:
        raise argparse.ArgumentTypeError("a whole number from 1 to 100 is wanted")
    return int(text)
