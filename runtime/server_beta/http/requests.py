"""What clients send: one type for each request, and its way into the domain. Unknown members of bodies are ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from ..domain.errors import Issue
from ..domain.ids import ProjectId, SessionId
from ..domain.observation_ids import is_observation_id
from ..domain.records import NewEvent, NewSession, ObservationFilter, SearchRequest, TimelineRequest
from .cursors import read_cursor
from .instants import MAX_EPOCH_MS, from_epoch_ms
from .validation import invalid

MAX_BATCH = 500

# The longest texts that are part of an index: a btree row holds 2.7 kB, a character of UTF-8 up to 4 bytes.
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
ExternalId = Annotated[str, Meta(min_length=1, max_length=400)]
Question = Annotated[str, Meta(min_length=1, max_length=4000)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096)]
Epoch = Annotated[int, Meta(ge=0, le=MAX_EPOCH_MS)]
Instant = Epoch | Annotated[datetime, Meta(tz=True)]


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


class BatchQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """How a batch is recorded: whether to generate from it."""

    generate: bool = True


class IngestQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """How an event is recorded: whether to generate from it, and whether to wait for that."""

    generate: bool = True
    wait: bool = False


class ProjectBody(Struct, rename="camel", frozen=True):
    """A project by its key, as `POST /v1/projects` and a session's start name it."""

    key: ExternalId
    name: Name | None = None


class SessionBody(Struct, rename="camel", frozen=True):
    """The start of a session, in a project that exists or one that is named by key."""

    project_id: UUID | None = None
    project: ProjectBody | None = None
    external_session_id: ExternalId | None = None
    content_session_id: ExternalId | None = None
    agent_id: Name | None = None
    agent_type: Name | None = None
    platform_source: Word | None = None
    metadata: dict[str, object] | None = None

    def __post_init__(self) -> None:
        if (self.project_id is None) == (self.project is None):
            raise ValueError("needs either projectId or project")

    def to_domain(self, project_id: ProjectId) -> NewSession:
        """Make the session to find or create, in the project that was found."""
        return NewSession(
            project_id=project_id,
            external_session_id=self.external_session_id,
            content_session_id=self.content_session_id,
            agent_id=self.agent_id,
            agent_type=self.agent_type,
            platform_source=self.platform_source or "api",
            metadata=self.metadata,
        )


class ContextQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which project's context to render: by id, or by key."""

    project_id: UUID | UnsetType = UNSET
    project: ExternalId | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.project_id is UNSET) == (self.project is UNSET):
            raise ValueError("needs either projectId or project")


class ProjectsQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which projects to list: all, or those with this key or name."""

    key: ExternalId | UnsetType = UNSET
    name: Name | UnsetType = UNSET


class ObservationsQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which observations to list. An optional text `null` would be read as absence, so absence is UNSET here."""

    project_id: UUID | UnsetType = UNSET
    kind: Word | UnsetType = UNSET
    server_session_id: UUID | UnsetType = UNSET
    since: Instant | UnsetType = UNSET
    until: Instant | UnsetType = UNSET
    cursor: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=200)] = 50

    def to_domain(self) -> ObservationFilter:
        """Make the filter; raises InvalidInput for a cursor that this server did not give."""
        return ObservationFilter(
            project_id=None if self.project_id is UNSET else ProjectId(self.project_id),
            kind=None if self.kind is UNSET else self.kind,
            session_id=None if self.server_session_id is UNSET else SessionId(self.server_session_id),
            since=None if self.since is UNSET else _instant(self.since),
            until=None if self.until is UNSET else _instant(self.until),
            after=None if self.cursor is UNSET else read_cursor(self.cursor),
            limit=self.limit,
        )


class TimelineQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Around which observation to look, and how far."""

    anchor: Name
    before: Annotated[int, Meta(ge=0, le=50)] = 5
    after: Annotated[int, Meta(ge=0, le=50)] = 5

    def to_domain(self) -> TimelineRequest:
        """Make the request; raises InvalidInput for an anchor that cannot be an id."""
        _check_ids({"$.anchor": self.anchor})
        return TimelineRequest(self.anchor, self.before, self.after)


class NamedBody(Struct, rename="camel", frozen=True):
    """Observations by their ids."""

    ids: Annotated[list[Name], Meta(min_length=1, max_length=100)]

    def to_domain(self) -> list[str]:
        """Give the ids; raises InvalidInput that lists every text that cannot be one."""
        _check_ids({f"$.ids[{index}]": text for index, text in enumerate(self.ids)})
        return self.ids


class SearchBody(Struct, rename="camel", frozen=True):
    """A question to the store."""

    query: Question
    project_id: UUID | None = None
    kinds: Annotated[list[Word], Meta(max_length=50)] | None = None
    since: Instant | None = None
    until: Instant | None = None
    files: Annotated[list[FilePath], Meta(max_length=100)] | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    offset: Annotated[int, Meta(ge=0, le=10_000)] = 0

    def to_domain(self) -> SearchRequest:
        """Make the question; empty lists filter nothing."""
        return SearchRequest(
            query=self.query,
            project_id=None if self.project_id is None else ProjectId(self.project_id),
            kinds=tuple(self.kinds) if self.kinds else None,
            since=None if self.since is None else _instant(self.since),
            until=None if self.until is None else _instant(self.until),
            files=tuple(self.files) if self.files else None,
            limit=self.limit,
            offset=self.offset,
        )


def _check_ids(texts: dict[str, str]) -> None:
    message = "must be an id, or the eight digits that a page shows of one"
    issues = [Issue(path, message, "invalid_value") for path, text in texts.items() if not is_observation_id(text)]
    if issues:
        raise invalid(issues)


def _instant(moment: int | datetime) -> datetime:
    if isinstance(moment, int):
        return from_epoch_ms(moment)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise invalid([Issue("$", "names an instant outside of the years 1 to 9999", "out_of_range")]) from None
