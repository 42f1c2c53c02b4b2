"""What one exchange carries: the services, who is asking, under which request id; and its typed answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
from aiohttp import web

from ..domain.principals import Principal
from .services import Services

T_co = TypeVar("T_co", covariant=True)

SERVICES = web.AppKey("services", Services)
PRINCIPAL = web.RequestKey("principal", Principal)
REQUEST_ID = web.RequestKey("request_id", str)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, as a handler sees it."""

    request: web.Request

    @property
    def services(self) -> Services:
        """What the application does."""
        return self.request.app[SERVICES]

    @property
    def principal(self) -> Principal:
        """Who is asking; only routes that need a key know."""
        return self.request[PRINCIPAL]

    @property
    def request_id(self) -> str:
        """The id that ties the request to its log line, its audit rows and its jobs."""
        return self.request[REQUEST_ID]


@dataclass(frozen=True, slots=True)
class Answer(Generic[T_co]):
    """A handler's answer: what becomes its JSON, and the status."""

    body: T_co
    status: int = 200


def json_response(body: object, status: int = 200, content_type: str = "application/json") -> web.Response:
    """Write JSON; UUIDs and enums become their text."""
    return web.Response(body=_encode(body), status=status, content_type=content_type)
