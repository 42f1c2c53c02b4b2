"""`/v1/events`: record events, and read them back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..domain.ids import EventId, ProjectId, SessionId
from ..domain.records import Ingested, NewEvent
from . import wire
from .exchange import Answer, Exchange
from .fields import Epoch, ExternalId, Name, Word
from .instants import from_epoch_ms

MAX_BATCH = 500
WAIT_LIMIT = timedelta(seconds=30)
_NO_PLATFORM = "api"


class EventBody(Struct, rename="camel", frozen=True):
    """An event to record, alone or in a batch; a payload that is no object is kept as the member `value` of one."""

    project_id: UUID
    source_type: Literal["hook", "worker", "provider", "server", "api"]
    event_type: Name
    occurred_at_epoch: Epoch
    source_event_id: ExternalId | None = None
    server_session_id: UUID | None = None
    content_session_id: ExternalId | None = None
    platform_source: Word | None = None
    payload: object = None
    metadata: dict[str, object] | None = None

    def to_domain(self) -> NewEvent:
        """Make the event that ingest records."""
        payload = _members(self.payload)
        return NewEvent(
            project_id=ProjectId(self.project_id),
            event_type=self.event_type,
            occurred_at=from_epoch_ms(self.occurred_at_epoch),
            payload=payload,
            source_type=self.source_type,
            platform_source=self.platform_source or _platform_said(payload),
            source_event_id=self.source_event_id,
            session_id=SessionId(self.server_session_id) if self.server_session_id else None,
            content_session_id=self.content_session_id,
            metadata=self.metadata,
        )


Batch = Annotated[list[EventBody], Meta(min_length=1, max_length=MAX_BATCH)]


class IngestQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """How events are recorded: whether to generate from them, and whether to wait for that."""

    generate: bool = True
    wait: bool = False


class EventReply(Struct):
    """One event."""

    event: wire.Event


class BatchReply(Struct, rename="camel"):
    """What became of each event of a batch, in its order."""

    events: list[wire.Ingested]
    wait_timed_out: bool | UnsetType = UNSET


class ObservationsOfEvent(Struct, rename="camel"):
    """What was generated from an event."""

    event_id: UUID
    observations: list[wire.Observation]


async def record(exchange: Exchange, query: IngestQuery, body: EventBody) -> Answer[wire.Ingested]:
    """Record one event; 201 when it is new, 200 on a replay."""
    (ingested,) = await exchange.services.ingest.record(
        exchange.principal, [body.to_domain()], generate=query.generate, request_id=exchange.request_id
    )
    (reply,) = await _replies(exchange, [ingested], wait=query.wait)
    return Answer(reply, 201 if ingested.created else 200)


async def record_batch(exchange: Exchange, query: IngestQuery, body: Batch) -> Answer[BatchReply]:
    """Record 1 to 500 events, all or none; 200 when not one of them is new."""
    ingested = await exchange.services.ingest.record(
        exchange.principal,
        [event.to_domain() for event in body],
        generate=query.generate,
        request_id=exchange.request_id,
    )
    status = 201 if any(one.created for one in ingested) else 200
    replies = await _replies(exchange, ingested, wait=query.wait)
    timed_out = any(one.wait_timed_out is True for one in replies) if query.wait else UNSET
    return Answer(BatchReply(replies, timed_out), status)


async def get(exchange: Exchange, id: UUID) -> Answer[EventReply]:
    """Read one event."""
    event = await exchange.services.observations.event(exchange.principal, EventId(id))
    return Answer(EventReply(wire.event(event)))


async def list_observations(exchange: Exchange, id: UUID) -> Answer[ObservationsOfEvent]:
    """List what was generated from one event."""
    found = await exchange.services.observations.of_event(exchange.principal, EventId(id))
    return Answer(ObservationsOfEvent(id, [wire.observation(one) for one in found]))


async def _replies(exchange: Exchange, ingested: Sequence[Ingested], *, wait: bool) -> list[wire.Ingested]:
    if not wait:
        return [wire.ingested(one) for one in ingested]
    # All of them together take no longer than one alone may.
    until = time.monotonic() + WAIT_LIMIT.total_seconds()
    return [await _waited(exchange, one, timedelta(seconds=until - time.monotonic())) for one in ingested]


async def _waited(exchange: Exchange, ingested: Ingested, at_most: timedelta) -> wire.Ingested:
    event = wire.event(ingested.event)
    if ingested.job is None:
        return wire.Ingested(event, None, wait_timed_out=False)
    job = await exchange.services.jobs.wait(exchange.principal, ingested.job.id, at_most)
    return wire.Ingested(event, wire.job(job), wait_timed_out=not job.status.is_terminal)


def _members(payload: object) -> dict[str, object]:
    if payload is None:
        return {}
    return payload if isinstance(payload, dict) else {"value": payload}


def _platform_said(payload: dict[str, object]) -> str:
    """Read the platform where hooks that know no member for it say it; it tells which session an event belongs to."""
    try:
        return msgspec.convert(payload.get("platformSource"), Word)
    except msgspec.ValidationError:
        return _NO_PLATFORM
