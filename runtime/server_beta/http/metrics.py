"""`/metrics`: for those who watch over the server, from this machine or with a key of scope `admin`."""

from __future__ import annotations

from aiohttp import web

from ..domain.principals import Scope
from ..services.exposition import CONTENT_TYPE
from .edge import authenticate, key_of
from .exchange import Exchange
from .origins import is_loopback, is_proxied


async def expose(exchange: Exchange) -> web.StreamResponse:
    """Give the server's metrics in Prometheus' text format; from another machine a key of scope `admin` is needed."""
    request = exchange.request
    if not is_loopback(request.remote or "") or is_proxied(request.headers):
        caller = await authenticate(exchange.services, request, key_of(request.headers))
        caller.require(Scope.ADMIN)
    return web.Response(body=await exchange.services.exposition.text(), headers={"Content-Type": CONTENT_TYPE})
