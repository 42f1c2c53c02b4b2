"""`/v1/jobs`: where generation stands, and an operator's hand on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import asdict

from ..domain.errors import NotFound
from ..domain.ids import JobId, ProjectId, SessionId
from ..domain.jobs import JobChange, JobFilter, JobSource, JobStatus, Lane, SourceType
from ..services.jobs import Page
from . import wire
from .cursors import read_cursor, write_cursor
from .exchange import Answer, Exchange
from .fields import Cursor, Instant, PageSize, instant
from .instants import to_epoch_ms

_LIST = "jobs"
_Status = Literal["queued", "processing", "completed", "failed", "cancelled"]
_SourceType = Literal["agent_event", "event_batch", "session_summary", "observation_reindex"]
_Lane = Literal["event", "event-batch", "summary", "reindex"]
_Offset = Annotated[int, Meta(ge=0, le=1_000_000)]


class JobQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """How much to tell of a job: `include=payload` adds the events that it generates from, for keys with `admin`."""

    include: Literal["payload"] | UnsetType = UNSET


class ProjectJobsQuery(JobQuery, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which jobs of a project to list. Pages follow each other by `cursor`, or by `offset` for clients that count.

    `source_type` is how the clients of the TypeScript server spell `sourceType`.
    """

    status: _Status | UnsetType = UNSET
    source_type: _SourceType | UnsetType = UNSET
    source_type_alias: _SourceType | UnsetType = field(default=UNSET, name="source_type")
    lane: _Lane | UnsetType = UNSET
    server_session_id: UUID | UnsetType = UNSET
    since: Instant | UnsetType = UNSET
    until: Instant | UnsetType = UNSET
    cursor: Cursor | UnsetType = UNSET
    offset: _Offset = 0
    limit: PageSize = 50

    def to_domain(self, project_id: ProjectId | None) -> JobFilter:
        """Make the filter; raises InvalidInput for a cursor that this server did not give."""
        return JobFilter(
            project_id=project_id,
            status=None if self.status is UNSET else JobStatus(self.status),
            source_types=self._source_types(),
            session_id=None if self.server_session_id is UNSET else SessionId(self.server_session_id),
            since=None if self.since is UNSET else instant(self.since),
            until=None if self.until is UNSET else instant(self.until),
            after=None if self.cursor is UNSET else read_cursor(_LIST, self.cursor),
            offset=self.offset,
            limit=self.limit,
        )

    def _source_types(self) -> tuple[SourceType, ...] | None:
        named = {SourceType(word) for word in (self.source_type, self.source_type_alias) if word is not UNSET}
        if self.lane is not UNSET:
            named.add(Lane(self.lane).source_type)
        if not named:
            return None
        # No job is of two kinds.
        return tuple(named) if len(named) == 1 else ()


class JobsQuery(ProjectJobsQuery, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which jobs to list, of one project or of all that the key sees."""

    project_id: UUID | UnsetType = UNSET


class SourceEvent(Struct, rename="camel"):
    """A recorded event that a job generates from."""

    id: UUID
    event_type: str
    occurred_at_epoch: int
    payload: dict[str, object]


class Payload(Struct):
    """What a job generates from: the newest of its events, oldest first, as many as one answer holds."""

    events: list[SourceEvent]


class LifecycleEvent(Struct, rename="camel"):
    """One change of a job."""

    event: str
    attempt: int
    detail: str | None
    created_at_epoch: int


class ListedJob(wire.GenerationJob, rename="camel", kw_only=True):
    """A generation job; `payload` only where it was asked for."""

    payload: Payload | UnsetType = UNSET


class DetailedJob(ListedJob, rename="camel", kw_only=True):
    """A generation job, and what has happened to it, oldest first."""

    history: list[LifecycleEvent]


class JobReply(Struct, rename="camel"):
    """One generation job."""

    generation_job: DetailedJob


class JobsPage(Struct, rename="camel"):
    """Jobs, newest first; `nextCursor` is null on the last page. A page that a cursor led to tells no `total`."""

    jobs: list[ListedJob]
    next_cursor: str | None
    limit: int
    offset: int
    request_id: str
    total: int | UnsetType = UNSET


class RetryReply(Struct, rename="camel"):
    """A job that is queued again; `alreadyQueued` when it had been all along, and was only published again."""

    generation_job: wire.GenerationJob
    retried_count: int
    already_queued: bool
    request_id: str


class CancelReply(Struct, rename="camel"):
    """A cancelled job; `alreadyCancelled` when it was cancelled before."""

    generation_job: wire.GenerationJob
    already_cancelled: bool
    request_id: str


async def list_all(exchange: Exchange, query: JobsQuery) -> Answer[JobsPage]:
    """List the jobs that the caller sees, newest first."""
    project_id = None if query.project_id is UNSET else ProjectId(query.project_id)
    return await _list(exchange, query, project_id)


async def list_of_team(exchange: Exchange, id: UUID, query: JobsQuery) -> Answer[JobsPage]:
    """List the jobs of the caller's team, newest first."""
    if id != exchange.principal.team_id:
        raise NotFound
    return await list_all(exchange, query)


async def list_of_project(exchange: Exchange, id: UUID, query: ProjectJobsQuery) -> Answer[JobsPage]:
    """List the jobs of a project, newest first."""
    return await _list(exchange, query, ProjectId(id))


async def get(exchange: Exchange, id: UUID, query: JobQuery) -> Answer[JobReply]:
    """Read one generation job, with its history."""
    found = await exchange.services.jobs.get(exchange.principal, JobId(id), with_payload=query.include is not UNSET)
    payload = UNSET if found.sources is None else _payload(found.sources)
    history = [_change(change) for change in found.changes]
    return Answer(JobReply(DetailedJob(**asdict(wire.job(found.job)), payload=payload, history=history)))


async def retry(exchange: Exchange, id: UUID) -> Answer[RetryReply]:
    """Queue a failed or cancelled job again, or publish a queued one again."""
    retried = await exchange.services.jobs.retry(exchange.principal, JobId(id), exchange.request_id)
    job = wire.job(retried.job, retried.transport)
    return Answer(RetryReply(job, retried.times, retried.was_queued, exchange.request_id))


async def cancel(exchange: Exchange, id: UUID) -> Answer[CancelReply]:
    """Cancel a job that is queued or being worked on; cancelling it again answers the same."""
    job, was_cancelled = await exchange.services.jobs.cancel(exchange.principal, JobId(id), exchange.request_id)
    return Answer(CancelReply(wire.job(job), was_cancelled, exchange.request_id))


async def _list(exchange: Exchange, query: ProjectJobsQuery, project_id: ProjectId | None) -> Answer[JobsPage]:
    page = await exchange.services.jobs.list(
        exchange.principal, query.to_domain(project_id), with_payload=query.include is not UNSET
    )
    last = page.jobs[-1] if page.has_more else None
    return Answer(
        JobsPage(
            jobs=_listed(page),
            next_cursor=None if last is None else write_cursor(_LIST, last.created_at, last.id),
            limit=query.limit,
            offset=query.offset,
            request_id=exchange.request_id,
            total=UNSET if page.total is None else page.total,
        )
    )


def _listed(page: Page) -> list[ListedJob]:
    payloads = page.payloads
    return [
        ListedJob(**asdict(wire.job(job)), payload=UNSET if payloads is None else _payload(payloads.get(job.id, ())))
        for job in page.jobs
    ]


def _payload(sources: Sequence[JobSource]) -> Payload:
    return Payload([SourceEvent(one.id, one.event_type, to_epoch_ms(one.occurred_at), one.payload) for one in sources])


def _change(change: JobChange) -> LifecycleEvent:
    return LifecycleEvent(change.event, change.attempt, change.detail, to_epoch_ms(change.created_at))
