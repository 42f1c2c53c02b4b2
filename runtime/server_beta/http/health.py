"""The open routes: is it alive, is it ready, what is it."""

from __future__ import annotations

from aiohttp import web

from ..domain.records import HealthReport
from .exchange import SERVICES, answer


async def alive(_request: web.Request) -> web.Response:
    """Answer as long as the process does; asks no dependency."""
    return answer({"status": "ok", "runtime": "server-beta"})


async def readiness(request: web.Request) -> web.Response:
    """Tell whether every dependency that a request needs answers."""
    return _reported(await request.app[SERVICES].health.readiness())


async def health(request: web.Request) -> web.Response:
    """Tell the state of every part, from probes."""
    return _reported(await request.app[SERVICES].health.report())


async def info(request: web.Request) -> web.Response:
    """Tell what runs here and how it is set up."""
    return answer(await request.app[SERVICES].health.info())


async def version(request: web.Request) -> web.Response:
    """Tell the version alone."""
    return answer({"version": request.app[SERVICES].health.version})


def _reported(report: HealthReport) -> web.Response:
    return answer(report.body, 200 if report.ok else 503)
