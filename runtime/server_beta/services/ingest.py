"""Record events: each event and the job that it calls for, in one statement, once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..domain.errors import NotFound, Unavailable
from ..domain.ids import EventId, JobId, digest, new_id
from ..domain.jobs import JobStatus, Lane, Message, SourceType
from ..domain.ports import Clock
from ..domain.principals import Principal, Scope
from ..domain.privacy import protect
from ..domain.records import Event, Ingested, Job, NewEvent, Transport
from ..storage import events, jobs
from ..storage.database import Database
from ..storage.events import Call, Write, Written
from .group_commit import GroupCommit
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

    async def record(
        self, principal: Principal, new_events: Sequence[NewEvent], *, generate: bool, request_id: str | None
    ) -> list[Ingested]:
        """Record an API client's events, all or none; each gets a job of its own unless `generate` is false.

        Raises NotFound when a project or session is not the caller's.
        """
        principal.require(Scope.EVENTS_WRITE)
        call: Call = "event" if generate else "none"
        own = [(await self._own(principal, new), call) for new in new_events]
        try:
            return await self.store(principal, own, request_id=request_id)
        except NotFound:
            # Something that was remembered as the caller's is gone: what is named next is looked up again.
            self.ownership.forget()
            raise

    async def store(
        self, principal: Principal, called: Sequence[tuple[NewEvent, Call]], *, request_id: str | None
    ) -> list[Ingested]:
        """Store events whose project and session are known to be the caller's, with the job each calls for."""
        received_at = self.clock.now()
        writes = [
            Write(
                id=EventId(new_id()),
                team_id=principal.team_id,
                new=new,
                idempotency_key=idempotency_key(principal, new),
                job_id=JobId(new_id()),
                calls_for=call,
                request_id=request_id,
                key_id=principal.key_id,
                received_at=received_at,
            )
            for new, call in called
        ]
        written = await self.writer.write(writes)
        self.relay.offer(
            [
                _message(write, job)
                for write, answer in zip(writes, written, strict=True)
                if answer.created and (job := _new_job(write, answer)) is not None
            ]
        )
        if all(answer.created for answer in written):
            return [self._fresh(write, answer) for write, answer in zip(writes, written, strict=True)]
        return await self._with_replays(principal, writes, written)

    def _fresh(self, write: Write, answer: Written) -> Ingested:
        job = _new_job(write, answer)
        return Ingested(_new_event(write, answer), job, created=True, transport=self._transport(job))

    async def _with_replays(
        self, principal: Principal, writes: Sequence[Write], written: Sequence[Written]
    ) -> list[Ingested]:
        known = [answer.event_id for answer in written if not answer.created and answer.event_id is not None]
        async with self.database.connection() as connection:
            stored = await events.by_ids(connection, principal.team_id, known)
            their_jobs = await jobs.of_events(connection, principal.team_id, known)
        answers: list[Ingested] = []
        for write, answer in zip(writes, written, strict=True):
            if answer.created:
                answers.append(self._fresh(write, answer))
                continue
            event = stored.get(answer.event_id) if answer.event_id is not None else None
            if event is None:
                raise Unavailable("The event was deleted while it was sent again; try again.")
            job = their_jobs.get(event.id)
            answers.append(Ingested(event, job, created=False, transport=self._transport(job)))
        return answers

    def _transport(self, job: Job | None) -> Transport:
        if job is None:
            return "skipped"
        return "enqueued" if job.transport_id is not None or self.relay.is_publishing else "queued_only"

    async def _own(self, principal: Principal, new: NewEvent) -> NewEvent:
        return replace(
            new,
            session_id=await self.ownership.session_of(principal, new),
            payload=_protected(new.payload),
            metadata=_protected(new.metadata or {}),
        )


def idempotency_key(principal: Principal, new: NewEvent) -> str:
    """Derive what makes two deliveries the same event: the sender's event id, or else the whole content."""
    common = (principal.team_id, new.project_id, new.source_adapter, new.platform_source)
    if new.source_event_id is not None:
        return digest("id", *common, new.source_event_id)
    canonical = json.dumps(new.payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    content = hashlib.sha256(canonical.encode()).hexdigest()
    session = new.session_id or new.content_session_id or ""
    return digest("content", *common, session, new.event_type, new.occurred_at.timestamp(), content)


def _protected(members: Mapping[str, object]) -> dict[str, object]:
    protected = protect(dict(members))
    assert isinstance(protected, dict)
    return protected


def _new_event(write: Write, answer: Written) -> Event:
    new, created_at = write.new, answer.created_at or write.received_at
    return Event(
        id=answer.event_id or write.id,
        project_id=new.project_id,
        team_id=write.team_id,
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
        received_at=write.received_at,
        created_at=created_at,
    )


def _new_job(write: Write, answer: Written) -> Job | None:
    if answer.job_id is None or answer.job_source_type is None:
        return None
    source_type = SourceType(answer.job_source_type)
    is_own = source_type is SourceType.AGENT_EVENT
    at: datetime = answer.created_at or write.received_at
    return Job(
        id=answer.job_id,
        project_id=write.new.project_id,
        team_id=write.team_id,
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


def _message(write: Write, job: Job) -> Message:
    lane: Lane = job.source_type.lane
    return Message(job.id, job.team_id, job.project_id, lane, attempt=0, request_id=write.request_id)
