"""`POST /v1/hooks/{adapter}/{event}`: what an agent's client tells, and what its hook prints."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from ..domain.errors import InvalidInput, Issue, NotFound
from .body import read_object
from .exchange import SERVICES, answer

ADAPTERS = frozenset({"claude-code"})


async def receive(request: web.Request) -> web.Response:
    """Take a client's hook JSON; 201 for a new event, 200 for one that was known or that stores nothing."""
    if request.match_info["adapter"] not in ADAPTERS:
        raise NotFound(f"There is no such adapter; this worker knows {', '.join(sorted(ADAPTERS))}.")
    _check_headers(request.headers)
    body = await read_object(request)
    received = await request.app[SERVICES].hooks.receive(request.match_info["event"], body, request.headers)
    return answer(received.output, 201 if received.created else 200)


def _check_headers(headers: Mapping[str, str]) -> None:
    # The hook percent-encodes; anything else arrives as lone surrogates, which no text column holds.
    issues = [
        Issue(f"header {name}", "must be percent-encoded ASCII", "invalid_value")
        for name, value in headers.items()
        if not value.isascii() and name.lower().startswith("x-claude-mem-")
    ]
    if issues:
        raise InvalidInput(f"The request is not valid: {issues[0].path} {issues[0].message}.", issues)
