"""The HTTP application: routes and middleware put together."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from aiohttp import web

from ..domain.principals import Scope
from ..settings import Settings
from .body import MAX_BODY_BYTES, expect_later
from .edge import add_headers, edge
from .exchange import SERVICES
from .limits import Limits
from .openapi import DOCUMENT, Json, describe
from .origins import OriginRule
from .route import Entry
from .routes import ROUTES
from .services import Services


def build_app(services: Services, settings: Settings) -> web.Application:
    """Build the application that serves the whole API over these services."""
    scopes: dict[object, Scope | Entry | None] = {}
    rule = OriginRule.for_bind(settings.host, settings.public_hosts)
    middleware = edge(services, rule, Limits(settings.rate_limit_per_min), scopes)
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[middleware])
    app[SERVICES] = services
    # When it is first asked for: making it costs more than all the rest here, at every start.
    document: Callable[[], Json] = cache(partial(describe, ROUTES))
    app[DOCUMENT] = document
    for route in ROUTES:
        added = app.router.add_route(route.method, route.pattern(), route.serve(), expect_handler=expect_later)
        scopes[added] = route.scope
    app.on_response_prepare.append(add_headers)
    return app
