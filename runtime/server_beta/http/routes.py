"""Every route of the API, with the scope that its key needs; None marks the routes that are open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from ..domain.principals import Scope
from . import events, health, hooks, jobs, projects, recall, sessions

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route; `scope` is checked before the body is read."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None


ROUTES = (
    Route("GET", "/healthz", health.alive, None),
    Route("GET", "/readyz", health.readiness, None),
    Route("GET", "/api/readiness", health.readiness, None),
    Route("GET", "/api/health", health.health, None),
    Route("GET", "/api/version", health.version, None),
    Route("GET", "/v1/info", health.info, None),
    Route("POST", "/v1/hooks/{adapter}/{event:[A-Za-z]{1,64}}", hooks.receive, Scope.EVENTS_WRITE),
    Route("POST", "/v1/events", events.record, Scope.EVENTS_WRITE),
    Route("POST", "/v1/events/batch", events.record_batch, Scope.EVENTS_WRITE),
    Route("GET", "/v1/events/{id}", events.get, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/events/{id}/observations", events.list_observations, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/sessions/start", sessions.start, Scope.SESSIONS_WRITE),
    Route("GET", "/v1/sessions/{id}", sessions.get, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/sessions/{id}/end", sessions.end, Scope.SESSIONS_WRITE),
    Route("GET", "/v1/context/recent", recall.recent_context, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/observations", recall.list_observations, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/observations/batch", recall.named_observations, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/observations/{id}", recall.get_observation, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/timeline", recall.timeline, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/search", recall.search, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/jobs/{id}", jobs.get, Scope.JOBS_READ),
    Route("GET", "/v1/projects", projects.list_all, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/projects", projects.create, Scope.PROJECTS_WRITE),
    Route("GET", "/v1/projects/{id}", projects.get, Scope.OBSERVATIONS_READ),
)
