"""`/v1/events`: record events, and read them back."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from ..domain.ids import EventId, ProjectId, SessionId
from ..domain.records import Ingested, NewEvent
from . import wire
from .exchange import Answer, Exchange
from .fields import Epoch, ExternalId, Name, Word
from .instants import from_epoch_ms

MAX_BATCH = 500
WAIT_LIMIT = timedelta(seconds=30)


class EventBody(Struct, rename="camel", frozen=True):
    """An event of `POST /v1/events` and of a batch."""

    project_id: UUID
    source_type: Literal["hook", "worker", "provider", "server", "api"]
    event_type: Name
    occurred_at_epoch: Epoch
    source_event_id: ExternalId | None = None
    server_session_id: UUID | None = None
    content_session_id: ExternalId | None = None
    platform_source: Word | None = None
    payload: dict[str, object] | None = None
    metadata: dict[str, object] | None = None

    def to_domain(self) -> NewEvent:
        """Make the event that ingest records."""
        return NewEvent(
            project_id=ProjectId(self.project_id),
            event_type=self.event_type,
            occurred_at=from_epoch_ms(self.occurred_at_epoch),
            payload=self.payload or {},
            source_type=self.source_type,
            platform_source=self.platform_source or "api",
            source_event_id=self.source_event_id,
            session_id=SessionId(self.server_session_id) if self.server_session_id else None,
            content_session_id=self.content_session_id,
            metadata=self.metadata,
        )


Batch = Annotated[list[EventBody], Meta(min_length=1, max_length=MAX_BATCH)]


class BatchQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """How a batch is recorded: whether to generate from it."""

    generate: bool = True


class IngestQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """How an event is recorded: whether to generate from it, and whether to wait for that."""

    generate: bool = True
    wait: bool = False


class EventReply(Struct):
    """One event."""

    event: wire.Event


class BatchReply(Struct):
    """What became of each event of a batch, in its order."""

    events: list[wire.Ingested]


class ObservationsOfEvent(Struct, rename="camel"):
    """What was generated from an event."""

    event_id: UUID
    observations: list[wire.Observation]


async def record(exchange: Exchange, query: IngestQuery, body: EventBody) -> Answer[wire.Ingested]:
    """Record one event; 201 when it is new, 200 on a replay."""
    (ingested,) = await exchange.services.ingest.record(
        exchange.principal, [body.to_domain()], generate=query.generate, request_id=exchange.request_id
    )
    reply = await _waited(exchange, ingested) if query.wait else wire.ingested(ingested)
    return Answer(reply, 201 if ingested.created else 200)


async def record_batch(exchange: Exchange, query: BatchQuery, body: Batch) -> Answer[BatchReply]:
    """Record 1 to 500 events, all or none; 200 when not one of them is new."""
    ingested = await exchange.services.ingest.record(
        exchange.principal,
        [event.to_domain() for event in body],
        generate=query.generate,
        request_id=exchange.request_id,
    )
    status = 201 if any(one.created for one in ingested) else 200
    return Answer(BatchReply([wire.ingested(one) for one in ingested]), status)


async def get(exchange: Exchange, id: UUID) -> Answer[EventReply]:
    """Read one event."""
    event = await exchange.services.observations.event(exchange.principal, EventId(id))
    return Answer(EventReply(wire.event(event)))


async def list_observations(exchange: Exchange, id: UUID) -> Answer[ObservationsOfEvent]:
    """List what was generated from one event."""
    found = await exchange.services.observations.of_event(exchange.principal, EventId(id))
    return Answer(ObservationsOfEvent(id, [wire.observation(one) for one in found]))


async def _waited(exchange: Exchange, ingested: Ingested) -> wire.Ingested:
    event = wire.event(ingested.event)
    if ingested.job is None:
        return wire.Ingested(event, None, wait_timed_out=False)
    job = await exchange.services.jobs.wait(exchange.principal, ingested.job.id, WAIT_LIMIT)
    return wire.Ingested(event, wire.job(job), wait_timed_out=not job.status.is_terminal)
