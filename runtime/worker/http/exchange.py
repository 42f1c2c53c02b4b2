"""What one exchange carries: the services and its request id; and the JSON of its answer."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from uuid import UUID

from aiohttp import web

from ..domain.errors import NotFound
from .services import Services

SERVICES = web.AppKey("services", Services)
REQUEST_ID = web.RequestKey("request_id", str)


def answer(body: object, status: int = 200, content_type: str = "application/json") -> web.Response:
    """Answer with JSON; UUIDs are written as their text, dataclasses as objects."""
    text = json.dumps(body, default=_plain, ensure_ascii=False, separators=(",", ":"))
    return web.Response(body=text.encode("utf-8", "replace"), status=status, content_type=content_type)


def path_id(request: web.Request) -> UUID:
    """Read the `{id}` of the path; what is no UUID names nothing: raises NotFound."""
    try:
        return UUID(request.match_info["id"])
    except ValueError:
        raise NotFound from None


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
