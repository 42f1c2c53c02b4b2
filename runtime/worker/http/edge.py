"""The one middleware: every exchange passes these steps in this order."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Middleware

from .exchange import REQUEST_ID
from .origins import OriginRule
from .problems import is_expected, problem_of, whereabouts
from .routes import Handler

if TYPE_CHECKING:
    from ..services.local_token import LocalToken

SECURITY_HEADERS = {
    "Server": "claude-mem",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
# What a caller that went away, or a stop that ran out of patience, left: no answer was sent.
_CLIENT_GONE = 499
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

log = logging.getLogger(__name__)


def edge(token: LocalToken, rule: OriginRule, open_routes: Collection[object]) -> Middleware:
    """Make the middleware; every route but the open ones needs the token."""

    @web.middleware
    async def pass_through(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        request[REQUEST_ID] = _request_id(request.headers)
        status = _CLIENT_GONE
        try:
            response = await _answered(request, handler)
            status = response.status
            return response
        finally:
            _log_exchange(request, status, time.perf_counter() - started)

    async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            rule.check(request.headers)
            if request.match_info.http_exception is None and request.match_info.route not in open_routes:
                token.admit(_key(request.headers))
            return await handler(request)
        except Exception as error:
            if not is_expected(error):
                log.error(
                    "a request failed unexpectedly",
                    extra={
                        "action": "http_request_failed",
                        "request_id": request[REQUEST_ID],
                        "route": _route(request),
                        "trace": whereabouts(error),
                    },
                )
            return problem_of(error)

    return pass_through


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the request id and the security headers on every answer."""
    response.headers.update(SECURITY_HEADERS)
    response.headers["X-Request-Id"] = request[REQUEST_ID]


def _key(headers: Mapping[str, str]) -> str | None:
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return bearer or headers.get("X-Api-Key", "").strip() or None


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def _log_exchange(request: web.Request, status: int, seconds: float) -> None:
    level = logging.ERROR if status >= 500 else logging.INFO
    if log.isEnabledFor(level):
        log.log(
            level,
            "answered a request",
            extra={
                "action": "http_request",
                "method": request.method,
                "route": _route(request),
                "status": status,
                "duration_ms": round(seconds * 1000, 2),
                "request_id": request[REQUEST_ID],
            },
        )
