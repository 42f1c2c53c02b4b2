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
from .limits import Limits
from .origins import OriginRule, is_loopback, is_proxied
from .problems import is_expected, problem_of, whereabouts
from .route import Entry
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
# Asked at any pace by those who take a server out of service when the answer is not the expected one.
_PROBES = frozenset({"/healthz", "/readyz", "/api/readiness"})
# What a caller that went away, or a stop that ran out of patience, left: no answer was sent.
_CLIENT_GONE = 499
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger(__name__)


def edge(
    services: Services, rule: OriginRule, limits: Limits, scopes: Mapping[object, Scope | Entry | None]
) -> Middleware:
    """Make the middleware; `scopes` maps each resource and method to whom it lets in."""

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
            seconds = time.perf_counter() - started
            services.metrics.answered(request.method, _route(request), status, seconds)
            _log_exchange(request, status, seconds)

    async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            rule.check(request.headers, request.raw_path)
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
        if scope is None or (scope is Entry.LOCAL_OR_ADMIN and _is_local(request)):
            if _route(request) not in _PROBES:
                limits.admit_stranger(request.remote)
            return
        key = key_of(request.headers)
        with limits.authenticating(request.remote, key):
            principal = await _authenticate(services, request, key)
        if scope is not Entry.ANY_KEY:
            principal.require(Scope.ADMIN if scope is Entry.LOCAL_OR_ADMIN else scope)
        request[PRINCIPAL] = principal

    return pass_through


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the request id and the security headers on an answer before it goes out."""
    dress(response, request[REQUEST_ID])


def dress(response: web.StreamResponse, request_id: str) -> None:
    """Put the request id and the security headers on an answer; a page may bring a policy of its own."""
    for name, value in SECURITY_HEADERS.items():
        if name == "Server":
            response.headers[name] = value
        else:
            response.headers.setdefault(name, value)
    response.headers["X-Request-Id"] = request_id


def new_request_id() -> str:
    """Make the id of a request that brought none."""
    return str(uuid4())


def key_of(headers: Mapping[str, str]) -> str | None:
    """Return the API key that came along, if any."""
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return bearer or headers.get("X-Api-Key", "").strip() or None


async def _authenticate(services: Services, request: web.Request, key: str | None) -> Principal:
    if key is not None and not key.isascii():
        raise Forbidden
    return await services.access.authenticate(
        key,
        remote_is_loopback=is_loopback(request.remote or ""),
        proxied=is_proxied(request.headers),
    )


def _is_local(request: web.Request) -> bool:
    return is_loopback(request.remote or "") and not is_proxied(request.headers)


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_request_id()


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
