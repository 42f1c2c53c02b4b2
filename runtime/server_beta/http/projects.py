"""`/v1/projects`: the projects of the caller's team."""

from __future__ import annotations

from aiohttp import web
from msgspec import UNSET

from ..domain.ids import ProjectId
from . import wire
from .body import read_json
from .exchange import PRINCIPAL, REQUEST_ID, SERVICES, answer, path_id
from .requests import ProjectBody, ProjectsQuery
from .validation import checked, checked_query


async def list_all(request: web.Request) -> web.Response:
    """List the projects that the caller sees, or those with a key or a name."""
    query = checked_query(request.query, ProjectsQuery)
    found = await request.app[SERVICES].projects.list(
        request[PRINCIPAL],
        key=None if query.key is UNSET else query.key,
        name=None if query.name is UNSET else query.name,
    )
    return answer({"projects": [wire.project(project) for project in found]})


async def create(request: web.Request) -> web.Response:
    """Find or create the project with this key; 201 when it is new."""
    body = checked(await read_json(request), ProjectBody)
    project, created = await request.app[SERVICES].projects.find_or_create(
        request[PRINCIPAL], body.key, body.name or body.key, request[REQUEST_ID]
    )
    return answer({"project": wire.project(project)}, 201 if created else 200)


async def get(request: web.Request) -> web.Response:
    """Read one project."""
    project = await request.app[SERVICES].projects.get(request[PRINCIPAL], ProjectId(path_id(request)))
    return answer({"project": wire.project(project)})
