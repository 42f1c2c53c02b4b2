"""`GET /v1/connect`: what a client needs to be pointed at this server, for the holder of a key."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from aiohttp import web
from msgspec import Struct

from ..domain.principals import in_order
from ..version import VERSION
from . import wire
from .exchange import Answer, Exchange
from .keys import ApiKey, api_key

# Where the reader's own key goes. An answer never holds a key, not even the one that it was asked with.
_KEY_PLACEHOLDER = "cmem_..."


class Team(Struct):
    """The team of the key."""

    id: UUID
    name: str


class ConnectReply(Struct, rename="camel"):
    """Where this server is, who the caller is to it, and the lines for a client's environment.

    `project` is null where the key sees the whole team, `api_key` where the server asks for none.
    """

    name: Literal["claude-mem"]
    url: str
    version: str
    runtime: Literal["server-beta"]
    team: Team
    project: wire.Project | None
    api_key: ApiKey | None
    scopes: tuple[str, ...]
    environment: tuple[str, ...]


async def connect(exchange: Exchange) -> Answer[ConnectReply]:
    """Tell how to point a client here, and what this key lets it do."""
    standing = await exchange.services.keys.standing(exchange.principal)
    url = _url(exchange.request)
    return Answer(
        ConnectReply(
            name="claude-mem",
            url=url,
            version=VERSION,
            runtime="server-beta",
            team=Team(standing.team.id, standing.team.name),
            project=None if standing.project is None else wire.project(standing.project),
            api_key=None if standing.key is None else api_key(standing.key),
            scopes=in_order(exchange.principal.scopes),
            environment=(
                "CLAUDE_MEM_RUNTIME=server-beta",
                f"CLAUDE_MEM_SERVER_URL={url}",
                f"CLAUDE_MEM_SERVER_API_KEY={_KEY_PLACEHOLDER}",
            ),
        )
    )


def _url(request: web.Request) -> str:
    """Name this server as the caller reached it, also through a proxy that ends TLS."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").lower()
    scheme = forwarded if forwarded in {"http", "https"} else request.scheme
    return f"{scheme}://{request.host}"
