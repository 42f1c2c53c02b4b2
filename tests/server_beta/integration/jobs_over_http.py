"""The routes of jobs and usage over real HTTP, on a real store; generation happens when a test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server_beta.domain.api_keys import hash_key, new_key
from server_beta.domain.ids import ApiKeyId, ProjectId, TeamId, new_id
from server_beta.domain.jobs import Message
from server_beta.domain.ports import SystemClock
from server_beta.domain.records import NewEvent
from server_beta.http.app import build_app
from server_beta.http.services import Services
from server_beta.services.access import Access
from server_beta.services.jobs import Jobs
from server_beta.services.metrics import Metrics
from server_beta.services.signals import Signals
from server_beta.services.usage import UsageReport
from server_beta.settings import Settings
from tests.support.chain import Chain
from tests.support.counting import run_sql
from tests.support.server import Answer
from tests.support.tenants import BEGINNING


@dataclass(slots=True)
class Api:
    """An HTTP client of a team's owner, and the chain behind the server."""

    client: TestClient[web.Request, web.Application]
    chain: Chain
    signals: Signals
    key: str = ""

    async def ask(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        """Send a request, by default with the key that may do all but `admin`."""
        headers = {"Authorization": f"Bearer {key or self.key}", "X-Request-Id": "asked-1"}
        async with self.client.request(method, path, json=body, headers=headers) as response:
            return Answer(response.status, await response.json(content_type=None))

    async def get(self, path: str, *, key: str | None = None) -> Any:
        """Return what a GET answers, which has to be 200."""
        answer = await self.ask("GET", path, key=key)
        assert answer.status == 200, answer
        return answer.body

    async def new_key(
        self, *scopes: str, team_id: TeamId | None = None, project_id: ProjectId | None = None
    ) -> tuple[str, ApiKeyId]:
        """Store a key and return it with its id."""
        text, key_id = new_key(), ApiKeyId(new_id())
        await run_sql(
            self.chain.store,
            "INSERT INTO api_keys (id, team_id, project_id, name, key_hash, scopes, created_by)"
            " VALUES ($1, $2, $3, 'test', $4, $5, 'test')",
            key_id,
            team_id or self.chain.tenant.principal.team_id,
            project_id,
            hash_key(text),
            list(scopes),
        )
        return text, key_id

    async def job(self, number: int = 0, **payload: object) -> Message:
        """Store an API event with a job of its own."""
        tenant = self.chain.tenant
        new = NewEvent(tenant.project.id, "note", BEGINNING, dict(payload), source_event_id=f"note-{number}")
        (ingested,) = await self.chain.ingest.record(tenant.principal, [new], generate=True, request_id="request-1")
        assert ingested.job is not None
        job = ingested.job
        return Message(job.id, job.team_id, job.project_id, job.source_type.lane, 0, "request-1")

    async def audited(self, job_id: UUID) -> list[dict[str, object]]:
        """Return what the audit log tells of a job."""
        return await run_sql(
            self.chain.store,
            "SELECT action, actor, api_key_id, request_id, project_id, details FROM audit_log"
            " WHERE resource_type = 'job' AND resource_id = $1 ORDER BY created_at, id",
            str(job_id),
        )


@asynccontextmanager
async def serving(chain: Chain, folder: Path) -> AsyncIterator[Api]:
    """Serve the real services over HTTP for the length of a block."""
    signals = Signals()
    services = SimpleNamespace(
        access=Access(chain.store, SystemClock(), "api-key"),
        ingest=chain.ingest,
        metrics=Metrics(),
        jobs=Jobs(chain.store, signals, chain.relay),
        usage=UsageReport(chain.store),
    )
    app = build_app(cast(Services, services), Settings(data_dir=folder, port=0))
    async with TestClient(TestServer(app)) as client:
        api = Api(client, chain, signals)
        api.key, _ = await api.new_key("jobs:read", "jobs:write", "events:write")
        try:
            yield api
        finally:
            signals.close()
