"""`/v1/sessions`: the sessions of agents, from start to end."""

from __future__ import annotations

from aiohttp import web

from ..domain.ids import ProjectId, SessionId
from . import wire
from .body import read_json
from .exchange import PRINCIPAL, REQUEST_ID, SERVICES, answer, path_id
from .requests import SessionBody
from .validation import checked


async def start(request: web.Request) -> web.Response:
    """Find or create a session; 201 when it is new."""
    body = checked(await read_json(request), SessionBody)
    session, created = await request.app[SERVICES].sessions.start(
        request[PRINCIPAL], body.to_domain(await _project_id(request, body))
    )
    return answer({"session": wire.session(session)}, 201 if created else 200)


async def get(request: web.Request) -> web.Response:
    """Read one session."""
    session = await request.app[SERVICES].sessions.get(request[PRINCIPAL], SessionId(path_id(request)))
    return answer({"session": wire.session(session)})


async def end(request: web.Request) -> web.Response:
    """End a session; ending it again answers the same."""
    session, job = await request.app[SERVICES].sessions.end(
        request[PRINCIPAL], SessionId(path_id(request)), request[REQUEST_ID]
    )
    reply: wire.Wire = {"session": wire.session(session)}
    if job is not None:
        reply["generationJob"] = wire.job(job)
    return answer(reply)


async def _project_id(request: web.Request, body: SessionBody) -> ProjectId:
    if body.project is None:
        assert body.project_id is not None, "SessionBody holds one or the other"
        return ProjectId(body.project_id)
    project, _ = await request.app[SERVICES].projects.find_or_create(
        request[PRINCIPAL], body.project.key, body.project.name or body.project.key, request[REQUEST_ID]
    )
    return project.id
