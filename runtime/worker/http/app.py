"""The HTTP application: routes and middleware put together."""

from __future__ import annotations

from aiohttp import web

from ..settings import Settings
from .body import MAX_BODY_BYTES, expect_later
from .edge import add_headers, edge
from .exchange import SERVICES
from .origins import OriginRule
from .routes import ROUTES
from .services import Services


def build_app(services: Services, settings: Settings) -> web.Application:
    """Build the application that serves the whole API over these services."""
    open_routes: set[object] = set()
    middleware = edge(services.token, OriginRule.for_bind(settings.host), open_routes)
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[middleware])
    app[SERVICES] = services
    for route in ROUTES:
        added = app.router.add_route(route.method, route.path, route.handler, expect_handler=expect_later)
        if route.is_open:
            open_routes.add(added)
    app.on_response_prepare.append(add_headers)
    return app
