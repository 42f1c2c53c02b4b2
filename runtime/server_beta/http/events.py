"""`/v1/events`: record events, and read them back."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from ..domain.errors import InvalidInput, Issue
from ..domain.ids import EventId
from ..domain.principals import Principal
from ..domain.records import Ingested
from . import wire
from .body import read_json
from .exchange import PRINCIPAL, REQUEST_ID, SERVICES, answer, path_id
from .requests import MAX_BATCH, BatchQuery, EventBody, IngestQuery
from .services import Services
from .validation import checked, checked_query

WAIT_LIMIT = timedelta(seconds=30)


async def record(request: web.Request) -> web.Response:
    """Record one event; 201 when it is new, 200 on a replay."""
    services = request.app[SERVICES]
    query = checked_query(request.query, IngestQuery)
    body = checked(await read_json(request), EventBody)
    (ingested,) = await services.ingest.record(
        request[PRINCIPAL], [body.to_domain()], generate=query.generate, request_id=request[REQUEST_ID]
    )
    reply = await _waited(services, request[PRINCIPAL], ingested) if query.wait else wire.ingested(ingested)
    return answer(reply, 201 if ingested.created else 200)


async def record_batch(request: web.Request) -> web.Response:
    """Record 1 to 500 events, all or none; 200 when not one of them is new."""
    query = checked_query(request.query, BatchQuery)
    body = await read_json(request)
    if isinstance(body, list) and not 1 <= len(body) <= MAX_BATCH:
        message = f"A batch holds 1 to {MAX_BATCH} events; this one holds {len(body)}."
        raise InvalidInput(message, (Issue("$", message, "batch_size"),))
    events = [event.to_domain() for event in checked(body, list[EventBody])]
    ingested = await request.app[SERVICES].ingest.record(
        request[PRINCIPAL], events, generate=query.generate, request_id=request[REQUEST_ID]
    )
    status = 201 if any(one.created for one in ingested) else 200
    return answer({"events": [wire.ingested(one) for one in ingested]}, status)


async def get(request: web.Request) -> web.Response:
    """Read one event."""
    event = await request.app[SERVICES].observations.event(request[PRINCIPAL], EventId(path_id(request)))
    return answer({"event": wire.event(event)})


async def list_observations(request: web.Request) -> web.Response:
    """List what was generated from one event."""
    event_id = EventId(path_id(request))
    found = await request.app[SERVICES].observations.of_event(request[PRINCIPAL], event_id)
    return answer({"eventId": event_id, "observations": [wire.observation(one) for one in found]})


async def _waited(services: Services, principal: Principal, ingested: Ingested) -> wire.Wire:
    if ingested.job is None:
        return {**wire.ingested(ingested), "generationJob": None, "waitTimedOut": False}
    job = await services.jobs.wait(principal, ingested.job.id, WAIT_LIMIT)
    return {**wire.ingested(ingested), "generationJob": wire.job(job), "waitTimedOut": not job.status.is_terminal}
