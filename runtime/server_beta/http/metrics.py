"""`/metrics`: for those who watch over the server, from this machine or with a key of scope `admin`."""

from __future__ import annotations

from aiohttp import web

from ..services.exposition import CONTENT_TYPE
from .exchange import Exchange


async def expose(exchange: Exchange) -> web.StreamResponse:
    """Give the server's metrics in Prometheus' text format; from another machine a key of scope `admin` is needed."""
    return web.Response(body=await exchange.services.exposition.text(), headers={"Content-Type": CONTENT_TYPE})
