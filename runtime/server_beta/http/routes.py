"""Every route of the API, with the scope that its key needs; None marks the routes that are open."""

from __future__ import annotations

from ..domain.principals import Scope
from . import events, health, hooks, jobs, observations, projects, recall, sessions
from .route import Route

ROUTES = (
    Route("GET", "/healthz", health.alive, None),
    Route("GET", "/readyz", health.readiness, None, (200, 503)),
    Route("GET", "/api/readiness", health.readiness, None, (200, 503)),
    Route("GET", "/api/health", health.health, None, (200, 503)),
    Route("GET", "/api/version", health.version, None),
    Route("GET", "/v1/info", health.info, None),
    Route("POST", "/v1/hooks/{adapter}/{event:[A-Za-z]{1,64}}", hooks.receive, Scope.EVENTS_WRITE, (200, 201)),
    Route("POST", "/v1/events", events.record, Scope.EVENTS_WRITE, (200, 201)),
    Route("POST", "/v1/events/batch", events.record_batch, Scope.EVENTS_WRITE, (200, 201)),
    Route("GET", "/v1/events/{id}", events.get, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/events/{id}/observations", events.list_observations, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/sessions/start", sessions.start, Scope.SESSIONS_WRITE, (200, 201)),
    Route("GET", "/v1/sessions/{id}", sessions.get, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/sessions/{id}/end", sessions.end, Scope.SESSIONS_WRITE),
    Route("GET", "/v1/context/recent", recall.recent_context, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/observations", observations.list_all, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/observations/batch", observations.named, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/observations/{id}", observations.get, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/timeline", recall.timeline, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/search", recall.search, Scope.OBSERVATIONS_READ),
    Route("GET", "/v1/jobs/{id}", jobs.get, Scope.JOBS_READ),
    Route("GET", "/v1/projects", projects.list_all, Scope.OBSERVATIONS_READ),
    Route("POST", "/v1/projects", projects.create, Scope.PROJECTS_WRITE, (200, 201)),
    Route("GET", "/v1/projects/{id}", projects.get, Scope.OBSERVATIONS_READ),
)
