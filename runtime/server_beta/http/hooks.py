"""`POST /v1/hooks/{adapter}/{event}`: what an agent's client tells, and what its hook prints."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from ..domain.errors import Issue, NotFound
from .body import read_json
from .exchange import PRINCIPAL, REQUEST_ID, SERVICES, answer
from .validation import checked, invalid

ADAPTERS = frozenset({"claude-code"})


async def receive(request: web.Request) -> web.Response:
    """Take a client's hook JSON; 201 for a new event, 200 for one that was known or that stores nothing."""
    if request.match_info["adapter"] not in ADAPTERS:
        raise NotFound(f"There is no such adapter; this server knows {', '.join(sorted(ADAPTERS))}.")
    _check_headers(request.headers)
    body = checked(await read_json(request), dict[str, object])
    received = await request.app[SERVICES].hooks.receive(
        request[PRINCIPAL], request.match_info["event"], body, request.headers, request[REQUEST_ID]
    )
    return answer(received.output, 201 if received.created else 200)


def _check_headers(headers: Mapping[str, str]) -> None:
    # The hook percent-encodes; anything else arrives as lone surrogates, which no text column holds.
    issues = [
        Issue(f"header {name}", "must be percent-encoded ASCII", "invalid_value")
        for name, value in headers.items()
        if not value.isascii() and name.lower().startswith("x-claude-mem-")
    ]
    if issues:
        raise invalid(issues)
