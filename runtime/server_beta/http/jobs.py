"""`/v1/jobs`: where generation stands."""

from __future__ import annotations

from aiohttp import web

from ..domain.ids import JobId
from . import wire
from .exchange import PRINCIPAL, SERVICES, answer, path_id


async def get(request: web.Request) -> web.Response:
    """Read one generation job."""
    job = await request.app[SERVICES].jobs.get(request[PRINCIPAL], JobId(path_id(request)))
    return answer({"generationJob": wire.job(job)})
