"""What was remembered: the context of a session start, lists of observations, search, what happened around one."""

from __future__ import annotations

from aiohttp import web

from ..domain.ids import ObservationId
from . import wire
from .body import read_object
from .cursors import write_cursor
from .exchange import SERVICES, answer, path_id
from .requests import context_query, named_body, observations_query, search_body, timeline_query


async def recent_context(request: web.Request) -> web.Response:
    """Render what a session start injects, and name the observations in it."""
    project_id, key = context_query(request.query)
    page = await request.app[SERVICES].context.recent(project_id=project_id, project_key=key)
    return answer({"context": page.text, "observationIds": page.ids})


async def list_observations(request: web.Request) -> web.Response:
    """List observations, newest first; `nextCursor` is null on the last page."""
    found, has_more = await request.app[SERVICES].observations.list(observations_query(request.query))
    next_cursor = write_cursor(found[-1].observation.created_at, found[-1].sequence) if has_more else None
    return answer({"observations": [wire.observation(one.observation) for one in found], "nextCursor": next_cursor})


async def get_observation(request: web.Request) -> web.Response:
    """Read one observation."""
    observation = await request.app[SERVICES].observations.get(ObservationId(path_id(request)))
    return answer({"observation": wire.observation(observation)})


async def named_observations(request: web.Request) -> web.Response:
    """Read observations by their ids, oldest first; ids that name nothing are absent."""
    found = await request.app[SERVICES].observations.named(named_body(await read_object(request)))
    return answer({"observations": [wire.observation(one) for one in found]})


async def timeline(request: web.Request) -> web.Response:
    """Read an observation amid its neighbours in its project, oldest first."""
    anchor, around = await request.app[SERVICES].observations.timeline(timeline_query(request.query))
    return answer({"anchorId": anchor.id, "observations": [wire.observation(one) for one in around]})


async def search(request: web.Request) -> web.Response:
    """Search the observations, best match first."""
    hits = await request.app[SERVICES].observations.search(search_body(await read_object(request)))
    return answer({"observations": [wire.hit(hit) for hit in hits]})
