"""The one middleware: every exchange passes these steps in this order."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from ..domain.errors import Forbidden
from ..domain.principals import Principal, Scope
from .exchange import PRINCIPAL, REQUEST_ID
from .origins import OriginRule, is_loopback, is_proxied
from .problems import is_expected, problem_of, whereabouts
from .services import Services

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

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger(__name__)


def edge(services: Services, rule: OriginRule, scopes: Mapping[object, Scope | None]) -> Middleware:
    """Make the middleware; `scopes` maps each resource and method to what its key needs."""

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
            if request.match_info.http_exception is None:
                await _admit(request)
            return await handler(request)
        except Exception as error:
            if not is_expected(error):
                _log.error(
                    "a request failed unexpectedly",
                    action="http_request_failed",
                    request_id=request[REQUEST_ID],
                    route=_route(request),
                    trace=whereabouts(error),
                )
            return problem_of(error)

    async def _admit(request: web.Request) -> None:
        scope = scopes[request.match_info.route]
        if scope is not None:
            principal = await _authenticate(services, request)
            principal.require(scope)
            request[PRINCIPAL] = principal

    return pass_through


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the request id and the security headers on every answer; a page may bring a policy of its own."""
    for name, value in SECURITY_HEADERS.items():
        if name == "Server":
            response.headers[name] = value
        else:
            response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = request[REQUEST_ID]


async def _authenticate(services: Services, request: web.Request) -> Principal:
    key = _key(request.headers)
    if key is not None and not key.isascii():
        raise Forbidden
    return await services.access.authenticate(
        key,
        remote_is_loopback=is_loopback(request.remote or ""),
        proxied=is_proxied(request.headers),
    )


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
    log = _log.error if status >= 500 else _log.info
    log(
        "answered a request",
        action="http_request",
        method=request.method,
        route=_route(request),
        status=status,
        duration_ms=round(seconds * 1000, 2),
        request_id=request[REQUEST_ID],
    )
