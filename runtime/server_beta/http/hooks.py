"""`POST /v1/hooks/{adapter}/{event}`: what an agent's client tells, and what its hook prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from ..domain.errors import Issue, NotFound
from .exchange import Answer, Exchange
from .validation import invalid

ADAPTERS = frozenset({"claude-code"})

# What the hook adds to the client's JSON.
HEADERS = {
    "X-Claude-Mem-Event-Id": "The event's id, a UUID: the same on every delivery. Without it the content is the id.",
    "X-Claude-Mem-Occurred-At": "When it happened, in milliseconds since 1970. Without it: now.",
    "X-Claude-Mem-Project": "The project's key, percent-encoded. Without it the working folder is the project.",
    "X-Claude-Mem-Project-Name": "The project's name, percent-encoded.",
    "X-Claude-Mem-Project-Root": "The project's folder, percent-encoded.",
    "X-Claude-Mem-Spooled": "`1` where the event had to wait, so that nobody waits for its answer.",
}

# Not a Literal: an adapter that is not known here gets an answer that names those which are.
Adapter = Annotated[str, Meta(extra_json_schema={"enum": sorted(ADAPTERS)})]


async def receive(
    exchange: Exchange, adapter: Adapter, event: str, body: dict[str, object]
) -> Answer[dict[str, object]]:
    """Take a client's hook JSON; 201 for a new event, 200 for one that was known or that stores nothing."""
    if adapter not in ADAPTERS:
        raise NotFound(f"There is no such adapter; this server knows {', '.join(sorted(ADAPTERS))}.")
    headers = exchange.request.headers
    _check_headers(headers)
    received = await exchange.services.hooks.receive(exchange.principal, event, body, headers, exchange.request_id)
    return Answer(received.output, 201 if received.created else 200)


def _check_headers(headers: Mapping[str, str]) -> None:
    # The hook percent-encodes; anything else arrives as lone surrogates, which no text column holds.
    issues = [
        Issue(f"header {name}", "must be percent-encoded ASCII", "invalid_value")
        for name, value in headers.items()
        if not value.isascii() and name.lower().startswith("x-claude-mem-")
    ]
    if issues:
        raise invalid(issues)
