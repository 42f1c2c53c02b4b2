"""The commands that ask a running runtime what it remembers: `search`, and `mcp` for agents."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from . import search
from .checkout import project_key
from .client import Address
from .command import Command, Context
from .memory import Memory
from .output import Report


def recall_commands(address: Callable[[Context], Address]) -> tuple[Command, ...]:
    """List them; `address` finds the runtime to ask."""

    def memory(context: Context) -> Memory:
        folder = context.env.get("CLAUDE_PROJECT_DIR", "")
        # The folder may go away while an agent works in it; then only questions about "this folder" fail.
        return Memory(lambda: address(context), lambda: project_key(Path(folder) if folder else Path.cwd()))

    def answer_search(context: Context, options: argparse.Namespace) -> Report:
        return search.search(memory(context), search.question_of(options))

    def answer_mcp(context: Context, _options: argparse.Namespace) -> Report:
        from .mcp import serve_stdio  # no other command speaks the protocol

        serve_stdio(memory(context), context.runtime.version)
        return Report("")

    return (
        Command("search", "search what was recorded", answer_search, search.search_arguments),
        Command("mcp", "serve the memory to an agent: MCP on stdin and stdout", answer_mcp),
    )
