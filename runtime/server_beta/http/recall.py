"""What was remembered: the context of a session start, lists of observations, search, what happened around one."""

from __future__ import annotations

from aiohttp import web
from msgspec import UNSET

from ..domain.ids import ObservationId, ProjectId
from . import wire
from .body import read_json
from .cursors import write_cursor
from .exchange import PRINCIPAL, SERVICES, answer, path_id
from .requests import ContextQuery, NamedBody, ObservationsQuery, SearchBody, TimelineQuery
from .validation import checked, checked_query


async def recent_context(request: web.Request) -> web.Response:
    """Render what a session start injects, and name the observations in it."""
    query = checked_query(request.query, ContextQuery)
    page = await request.app[SERVICES].context.recent(
        request[PRINCIPAL],
        project_id=None if query.project_id is UNSET else ProjectId(query.project_id),
        project_key=None if query.project is UNSET else query.project,
    )
    return answer({"context": page.text, "observationIds": page.ids})


async def list_observations(request: web.Request) -> web.Response:
    """List observations, newest first; `nextCursor` is null on the last page."""
    wanted = checked_query(request.query, ObservationsQuery).to_domain()
    found, has_more = await request.app[SERVICES].observations.list(request[PRINCIPAL], wanted)
    next_cursor = write_cursor(found[-1].created_at, found[-1].id) if has_more else None
    return answer({"observations": [wire.observation(one) for one in found], "nextCursor": next_cursor})


async def get_observation(request: web.Request) -> web.Response:
    """Read one observation."""
    observation = await request.app[SERVICES].observations.get(request[PRINCIPAL], ObservationId(path_id(request)))
    return answer({"observation": wire.observation(observation)})


async def named_observations(request: web.Request) -> web.Response:
    """Read observations by their ids, oldest first; ids that name nothing here are absent."""
    ids = checked(await read_json(request), NamedBody).to_domain()
    found = await request.app[SERVICES].observations.named(request[PRINCIPAL], ids)
    return answer({"observations": [wire.observation(one) for one in found]})


async def timeline(request: web.Request) -> web.Response:
    """Read an observation amid its neighbours in its project, oldest first."""
    wanted = checked_query(request.query, TimelineQuery).to_domain()
    anchor, around = await request.app[SERVICES].observations.timeline(request[PRINCIPAL], wanted)
    return answer({"anchorId": anchor.id, "observations": [wire.observation(one) for one in around]})


async def search(request: web.Request) -> web.Response:
    """Search the observations that the caller sees, best match first."""
    body = checked(await read_json(request), SearchBody)
    hits = await request.app[SERVICES].observations.search(request[PRINCIPAL], body.to_domain())
    return answer({"observations": [wire.hit(hit) for hit in hits]})
