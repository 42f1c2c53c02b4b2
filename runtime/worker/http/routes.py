"""Every route of the API, and whether it is open; all others need the token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from . import health, hooks, jobs, projects, recall

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route; the token is checked before the body is read."""

    method: str
    path: str
    handler: Handler
    is_open: bool = False


ROUTES = (
    Route("GET", "/healthz", health.alive, is_open=True),
    Route("GET", "/readyz", health.readiness, is_open=True),
    Route("GET", "/api/readiness", health.readiness, is_open=True),
    Route("GET", "/api/health", health.health, is_open=True),
    Route("GET", "/api/version", health.version, is_open=True),
    Route("GET", "/v1/info", health.info, is_open=True),
    Route("POST", "/v1/hooks/{adapter}/{event:[A-Za-z]{1,64}}", hooks.receive),
    Route("GET", "/v1/context/recent", recall.recent_context),
    Route("GET", "/v1/observations", recall.list_observations),
    Route("POST", "/v1/observations/batch", recall.named_observations),
    Route("GET", "/v1/observations/{id}", recall.get_observation),
    Route("GET", "/v1/timeline", recall.timeline),
    Route("POST", "/v1/search", recall.search),
    Route("GET", "/v1/jobs/{id}", jobs.get),
    Route("GET", "/v1/projects", projects.list_all),
    Route("GET", "/v1/projects/{id}", projects.get),
)
