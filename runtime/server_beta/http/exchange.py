"""What one exchange carries: the services, who is asking, under which request id; and the JSON of its answer."""

from __future__ import annotations

from uuid import UUID

import msgspec
from aiohttp import web

from ..domain.errors import NotFound
from ..domain.principals import Principal
from .services import Services

SERVICES = web.AppKey("services", Services)
PRINCIPAL = web.RequestKey("principal", Principal)
REQUEST_ID = web.RequestKey("request_id", str)

_encode = msgspec.json.Encoder().encode


def answer(body: object, status: int = 200, content_type: str = "application/json") -> web.Response:
    """Answer with JSON; UUIDs and enums are written as their text."""
    return web.Response(body=_encode(body), status=status, content_type=content_type)


def path_id(request: web.Request) -> UUID:
    """Read the `{id}` of the path; what is no UUID names nothing: raises NotFound."""
    try:
        return UUID(request.match_info["id"])
    except ValueError:
        raise NotFound from None
