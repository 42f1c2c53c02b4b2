"""`/v1/projects`: where something was recorded."""

from __future__ import annotations

from aiohttp import web

from ..domain.ids import ProjectId
from . import wire
from .exchange import SERVICES, answer, path_id
from .requests import projects_query


async def list_all(request: web.Request) -> web.Response:
    """List the projects, or those with a key or a name."""
    key, name = projects_query(request.query)
    found = await request.app[SERVICES].projects.list(key=key, name=name)
    return answer({"projects": [wire.project(project) for project in found]})


async def get(request: web.Request) -> web.Response:
    """Read one project."""
    project = await request.app[SERVICES].projects.get(ProjectId(path_id(request)))
    return answer({"project": wire.project(project)})
