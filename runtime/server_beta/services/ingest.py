"""Record events: each event and the job that it calls for, in one statement, once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from ..domain.errors import NotFound, Unavailable
from ..domain.ids import EventId, JobId, SessionId, digest, new_id
from ..domain.jobs import JobStatus, Message, SourceType
from ..domain.ports import Clock
from ..domain.principals import Principal, Scope
from ..domain.privacy import protect
from ..domain.records import Event, Ingested, Job, NewEvent, Transport
from ..storage import events, jobs
from ..storage.database import Database
from ..storage.events import Call, Delivery, Write, Written
from .aside import aside
from .group_commit import GroupCommit
from .metrics import Metrics
from .ownership import Ownership
from .relay import Relay

_MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Ingest:
    """Takes events in, from any edge."""

    database: Database
    ownership: Ownership
    writer: GroupCommit
    relay: Relay
    clock: Clock
    metrics: Metrics = field(default_factory=Metrics)

    async def record(
        self, principal: Principal, new_events: Sequence[NewEvent], *, generate: bool, request_id: str | None
    ) -> list[Ingested]:
        """Record an API client's events, all or none; each gets a job of its own unless `generate` is false.

        Raises NotFound when a project or session is not the caller's.
        """
        principal.require(Scope.EVENTS_WRITE)
        call: Call = "event" if generate else "none"
        sessions = await self.ownership.sessions_of(principal, new_events)
        own = await aside(partial(_all_own, new_events, sessions), [(new.payload, new.metadata) for new in new_events])
        try:
            return await self.store(principal, [(new, call) for new in own], request_id=request_id)
        except NotFound:
            # Something that was remembered as the caller's is gone: what is named next is looked up again.
            self.ownership.forget()
            raise

    async def store(
        self, principal: Principal, called: Sequence[tuple[NewEvent, Call]], *, request_id: str | None
    ) -> list[Ingested]:
        """Store events whose project and session are known to be the caller's, with the job each calls for."""
        delivery = Delivery(
            team_id=principal.team_id,
            key_id=principal.key_id,
            actor=principal.actor,
            action="event.received" if len(called) == 1 else "event.batch_received",
            request_id=request_id,
            received_at=self.clock.now(),
            audit_id=new_id(),
        )
        # Only of an event that its sender has not named, the whole content is read.
        unnamed = [new.payload for new, _ in called if new.source_event_id is None]
        keys = await aside(lambda: [idempotency_key(principal, new) for new, _ in called], unnamed)
        writes = [
            Write(EventId(new_id()), new, key, JobId(new_id()), call, delivery)
            for (new, call), key in zip(called, keys, strict=True)
        ]
        written = await self.writer.write(writes)
        stored = sum(answer.created for answer in written)
        self.metrics.received(stored=stored, replayed=len(written) - stored)
        new_jobs = [
            _new_job(write, answer) if answer.created else None for write, answer in zip(writes, written, strict=True)
        ]
        self.relay.offer([_message(job, request_id) for job in new_jobs if job is not None])
        replays = await self._replays(principal, [answer.event_id for answer in written if not answer.created])
        return [
            self._ingested(_new_event(write, answer), job, created=True) if answer.created else next(replays)
            for write, answer, job in zip(writes, written, new_jobs, strict=True)
        ]

    async def _replays(self, principal: Principal, event_ids: Sequence[EventId | None]) -> Iterator[Ingested]:
        known = [event_id for event_id in event_ids if event_id is not None]
        if not event_ids:
            return iter(())
        async with self.database.connection() as connection:
            stored = await events.by_ids(connection, principal.team_id, known)
            their_jobs = await jobs.of_events(connection, principal.team_id, known)
        if any(event_id not in stored for event_id in event_ids):
            raise Unavailable("The event was deleted while it was sent again; try again.")
        return (self._ingested(stored[one], their_jobs.get(one), created=False) for one in known)

    def _ingested(self, event: Event, job: Job | None, *, created: bool) -> Ingested:
        return Ingested(event, job, created=created, transport=self._transport(job))

    def _transport(self, job: Job | None) -> Transport:
        if job is None:
            return "skipped"
        return "enqueued" if job.transport_id is not None or self.relay.is_publishing else "queued_only"


def idempotency_key(principal: Principal, new: NewEvent) -> str:
    """Derive what makes two deliveries the same event: the sender's event id, or else the whole content."""
    common = (principal.team_id, new.project_id, new.source_adapter, new.platform_source)
    if new.source_event_id is not None:
        return digest("id", *common, new.source_event_id)
    canonical = json.dumps(new.payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    content = hashlib.sha256(canonical.encode()).hexdigest()
    # The sender's own name for the session first: which of our sessions that is may change until the event is retried.
    session = new.content_session_id or new.session_id or ""
    return digest("content", *common, session, new.event_type, new.occurred_at.timestamp(), content)


def _all_own(new_events: Sequence[NewEvent], sessions: Sequence[SessionId | None]) -> list[NewEvent]:
    return [_own(new, session_id) for new, session_id in zip(new_events, sessions, strict=True)]


def _own(new: NewEvent, session_id: SessionId | None) -> NewEvent:
    return replace(new, session_id=session_id, payload=_protected(new.payload), metadata=_protected(new.metadata or {}))


def _protected(members: Mapping[str, object]) -> dict[str, object]:
    protected = protect(dict(members))
    assert isinstance(protected, dict)
    return protected


def _new_event(write: Write, answer: Written) -> Event:
    new, created_at = write.new, answer.created_at or write.delivery.received_at
    return Event(
        id=answer.event_id or write.id,
        project_id=new.project_id,
        team_id=write.delivery.team_id,
        server_session_id=new.session_id,
        content_session_id=new.content_session_id,
        source_type=new.source_type,
        source_adapter=new.source_adapter,
        source_event_id=new.source_event_id,
        event_type=new.event_type,
        platform_source=new.platform_source,
        turn_key=new.turn_key,
        payload=new.payload,
        metadata=new.metadata or {},
        occurred_at=new.occurred_at,
        received_at=write.delivery.received_at,
        created_at=created_at,
    )


def _new_job(write: Write, answer: Written) -> Job | None:
    if answer.job_id is None or answer.job_source_type is None:
        return None
    source_type = SourceType(answer.job_source_type)
    is_own = source_type is SourceType.AGENT_EVENT
    at: datetime = answer.created_at or write.delivery.received_at
    return Job(
        id=answer.job_id,
        project_id=write.new.project_id,
        team_id=write.delivery.team_id,
        source_type=source_type,
        source_id=write.id,
        agent_event_id=write.id if is_own else None,
        server_session_id=write.new.session_id,
        turn_key=None if is_own else write.new.turn_key,
        job_type="generate",
        status=JobStatus.QUEUED,
        transport_id=None,
        attempts=0,
        max_attempts=_MAX_ATTEMPTS,
        next_attempt_at=at,
        completed_at=None,
        failed_at=None,
        cancelled_at=None,
        last_error=None,
        created_at=at,
        updated_at=at,
    )


def _message(job: Job, request_id: str | None) -> Message:
    return Message(job.id, job.team_id, job.project_id, job.source_type.lane, attempt=0, request_id=request_id)
