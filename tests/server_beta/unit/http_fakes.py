"""Services that answer from memory and write down what they were asked, for tests of the HTTP layer alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from server_beta.domain.errors import Forbidden, NotFound, Unauthorized
from server_beta.domain.ids import ApiKeyId, EventId, JobId, ProjectId, SessionId
from server_beta.domain.jobs import JobChange, JobFilter, JobStatus
from server_beta.domain.observations import Observation
from server_beta.domain.principals import LOCAL_SCOPES, Principal, Scope
from server_beta.domain.records import (
    Event,
    HealthReport,
    Hit,
    HookAnswer,
    Ingested,
    Job,
    NewEvent,
    NewSession,
    ObservationFilter,
    Project,
    SearchRequest,
    Session,
    TimelineRequest,
)
from server_beta.http.services import Services
from server_beta.services.jobs import Detail, Page
from server_beta.services.metrics import Metrics
from server_beta.settings import Settings
from tests.server_beta.unit.http_samples import AT, JOB, OBSERVATIONS, PROJECT, SESSION, TEAM, stored

KEY = "cmem_good"
READER_KEY = "cmem_reader"


@dataclass
class FakeServices:
    """All use cases at once. `failure` is raised by the next call of any of them."""

    failure: Exception | None = None
    asked: list[Any] = field(default_factory=list)
    authenticated: list[dict[str, object]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    finished: JobStatus = JobStatus.COMPLETED
    healthy: bool = True
    version: str = "9.9.9"

    def services(self) -> Services:
        """Build what bootstrap would: every use case is this object."""
        this = cast(Any, self)
        return Services(
            access=this,
            hooks=this,
            ingest=this,
            sessions=cast(Any, _Sessions(self)),
            context=cast(Any, _Context(self)),
            observations=cast(Any, _Observations(self)),
            jobs=cast(Any, _Jobs(self)),
            projects=cast(Any, _Projects(self)),
            health=this,
            metrics=Metrics(),
            **dict.fromkeys(("usage", "broadcaster", "exposition", "keys", "audit", "author", "purge", "legacy"), this),
        )

    def note(self, *call: object) -> None:
        """Write down a call, or fail as told."""
        if self.failure is not None:
            raise self.failure
        self.asked.append(call)

    async def authenticate(self, key: str | None, *, remote_is_loopback: bool, proxied: bool) -> Principal:
        self.authenticated.append({"key": key, "remote_is_loopback": remote_is_loopback, "proxied": proxied})
        if key is None:
            raise Unauthorized
        if key not in {KEY, READER_KEY}:
            raise Forbidden
        scopes = LOCAL_SCOPES if key == KEY else frozenset({Scope.OBSERVATIONS_READ})
        return Principal(TEAM, None, ApiKeyId(UUID(int=9)), scopes)

    async def receive(
        self,
        _principal: Principal,
        event_name: str,
        body: dict[str, object],
        headers: Mapping[str, str],
        request_id: str,
    ) -> HookAnswer:
        self.note("hook", event_name, body, headers, request_id)
        event_id = headers.get("X-Claude-Mem-Event-Id", "")
        created = event_id not in self.seen
        self.seen.add(event_id)
        return HookAnswer({"systemMessage": "hello"}, created)

    async def record(
        self, _principal: Principal, new_events: Sequence[NewEvent], *, generate: bool, request_id: str
    ) -> list[Ingested]:
        self.note("record", list(new_events), generate, request_id)
        ingested = []
        for new in new_events:
            created = (new.source_event_id or "") not in self.seen
            self.seen.add(new.source_event_id or "")
            job = JOB if generate else None
            ingested.append(Ingested(stored(new), job, created, "queued_only" if job else "skipped"))
        return ingested

    async def info(self) -> dict[str, object]:
        self.note("info")
        return {"version": self.version}

    async def report(self) -> HealthReport:
        self.note("report")
        return HealthReport(self.healthy, {"status": "ok" if self.healthy else "degraded"})

    async def readiness(self) -> HealthReport:
        self.note("readiness")
        return HealthReport(self.healthy, {"status": "ready" if self.healthy else "unavailable"})


@dataclass
class _Sessions:
    fake: FakeServices

    async def start(self, _principal: Principal, new: NewSession, request_id: str | None) -> tuple[Session, bool]:
        self.fake.note("start", new, request_id)
        created = (new.external_session_id or "") not in self.fake.seen
        self.fake.seen.add(new.external_session_id or "")
        return SESSION, created

    async def get(self, _principal: Principal, session_id: SessionId) -> Session:
        self.fake.note("session", session_id)
        if session_id != SESSION.id:
            raise NotFound
        return SESSION

    async def end(self, _principal: Principal, session_id: SessionId, request_id: str) -> tuple[Session, Job | None]:
        self.fake.note("end", session_id, request_id)
        return replace(SESSION, ended_at=AT), JOB


@dataclass(frozen=True)
class _Page:
    text: str
    ids: tuple[UUID, ...]


@dataclass
class _Context:
    fake: FakeServices

    async def recent(self, _principal: Principal, *, project_id: ProjectId | None, project_key: str | None) -> _Page:
        self.fake.note("recent", project_id, project_key)
        return _Page("what happened", (OBSERVATIONS[0].id,))


@dataclass
class _Observations:
    fake: FakeServices

    async def get(self, _principal: Principal, observation_id: UUID) -> Observation:
        self.fake.note("observation", observation_id)
        return OBSERVATIONS[0]

    async def list(self, _principal: Principal, wanted: ObservationFilter) -> tuple[Sequence[Observation], bool]:
        self.fake.note("list", wanted)
        return OBSERVATIONS[: wanted.limit], wanted.limit < len(OBSERVATIONS)

    async def named(self, _principal: Principal, ids: Sequence[str]) -> Sequence[Observation]:
        self.fake.note("named", ids)
        return OBSERVATIONS[:2]

    async def timeline(
        self, _principal: Principal, request: TimelineRequest
    ) -> tuple[Observation, Sequence[Observation]]:
        self.fake.note("timeline", request)
        return OBSERVATIONS[1], OBSERVATIONS

    async def search(self, _principal: Principal, request: SearchRequest) -> Sequence[Hit]:
        self.fake.note("search", request)
        return [Hit(OBSERVATIONS[0], 0.5, "a snippet")]

    async def event(self, _principal: Principal, event_id: EventId) -> Event:
        self.fake.note("event", event_id)
        return stored(NewEvent(PROJECT.id, "edit", AT, {"a": 1}))

    async def of_event(self, _principal: Principal, event_id: EventId) -> Sequence[Observation]:
        self.fake.note("of_event", event_id)
        return OBSERVATIONS


@dataclass
class _Jobs:
    fake: FakeServices

    async def get(self, _principal: Principal, job_id: JobId, *, with_payload: bool = False) -> Detail:
        self.fake.note("job", job_id, with_payload)
        return Detail(JOB, (JobChange("queued", 0, None, AT),), () if with_payload else None)

    async def list(self, _principal: Principal, wanted: JobFilter, *, with_payload: bool = False) -> Page:
        self.fake.note("jobs", wanted, with_payload)
        return Page([JOB], False, 1, {} if with_payload else None)

    async def wait(self, _principal: Principal, job_id: JobId, at_most: timedelta) -> Job:
        self.fake.note("wait", job_id, at_most)
        return replace(JOB, status=self.fake.finished, transport_id="evt_1")


@dataclass
class _Projects:
    fake: FakeServices

    async def list(
        self, _principal: Principal, *, key: str | None = None, name: str | None = None
    ) -> Sequence[Project]:
        self.fake.note("projects", key, name)
        return [PROJECT]

    async def get(self, _principal: Principal, project_id: ProjectId) -> Project:
        self.fake.note("project", project_id)
        return PROJECT

    async def find_or_create(
        self, _principal: Principal, key: str, name: str, request_id: str | None
    ) -> tuple[Project, bool]:
        self.fake.note("find_or_create", key, name, request_id)
        created = key not in self.fake.seen
        self.fake.seen.add(key)
        return PROJECT, created


def loopback_settings(tmp_path: Path) -> Settings:
    """Settings of a server that is bound to the loopback."""
    return Settings(data_dir=tmp_path, host="127.0.0.1", port=0)
