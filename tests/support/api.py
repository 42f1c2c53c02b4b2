"""The whole server in the test's own process, asked over HTTP by keys of several teams."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from server_beta.bootstrap import _Server
from server_beta.domain.api_keys import hash_key, new_key
from server_beta.domain.ids import ApiKeyId, ProjectId, new_id
from server_beta.domain.ports import JobTransport
from server_beta.domain.principals import Scope
from server_beta.settings import Settings
from server_beta.storage.database import Database
from server_beta.storage.notifications import Listener
from server_beta.transport.bullmq import BullmqTransport
from tests.support.counting import run_sql
from tests.support.server import Answer
from tests.support.tenants import Tenant
from tests.support.transports import HeldTransport

REQUEST_ID = "asked-1"
ALL_BUT_ADMIN = tuple(scope.value for scope in Scope if scope is not Scope.ADMIN)


@dataclass(slots=True)
class Api:
    """A server, and what a test needs to know of it."""

    server: _Server
    store: Database
    transport: JobTransport
    url: str
    client: aiohttp.ClientSession

    async def ask(self, key: str, method: str, path: str, body: object = None) -> Answer:
        """Send a request; an answer without content has None for its body."""
        headers = {"Authorization": f"Bearer {key}", "X-Request-Id": REQUEST_ID}
        data = None if body is None else io.BytesIO(json.dumps(body).encode())
        async with self.client.request(method, self.url + path, data=data, headers=headers) as response:
            return Answer(response.status, await response.json(content_type=None))

    async def key(self, tenant: Tenant, *scopes: str, project_id: ProjectId | None = None) -> str:
        """Store a key of a team; it may do everything but administrate unless told."""
        text, _ = await self.key_and_id(tenant, *scopes, project_id=project_id)
        return text

    async def key_and_id(
        self, tenant: Tenant, *scopes: str, project_id: ProjectId | None = None
    ) -> tuple[str, ApiKeyId]:
        """Do the same, and tell the key's id."""
        text, key_id = new_key(), ApiKeyId(new_id())
        await run_sql(
            self.store,
            "INSERT INTO api_keys (id, team_id, project_id, name, key_hash, scopes, created_by)"
            " VALUES ($1, $2, $3, 'test', $4, $5, 'test')",
            key_id,
            tenant.principal.team_id,
            project_id,
            hash_key(text),
            list(scopes or ALL_BUT_ADMIN),
        )
        return text, key_id

    async def audited(self, resource_id: object) -> list[dict[str, Any]]:
        """Return what the audit log tells of a thing, oldest first."""
        return await run_sql(
            self.store,
            "SELECT action, actor, api_key_id, request_id, project_id, team_id, details FROM audit_log"
            " WHERE resource_id = $1 ORDER BY created_at, id",
            str(resource_id),
        )


@asynccontextmanager
async def serving(
    dsn: str, data_dir: Path, *, generates: bool = False, transport: JobTransport | None = None
) -> AsyncIterator[Api]:
    """Run a server on a database for the length of a block; unless it `generates`, what it publishes is held."""
    if transport is None:
        transport = BullmqTransport.on_postgres(dsn, "claude_mem") if generates else HeldTransport()
    settings = Settings(data_dir=data_dir, port=0, generation_disabled=not generates)
    store = await Database.open(dsn)
    await transport.open()
    server = _Server(settings, store, transport, Listener(dsn))
    try:
        host, port = await server.start()
        try:
            async with aiohttp.ClientSession() as client:
                yield Api(server, store, transport, f"http://{host}:{port}", client)
        finally:
            server.signals.close()
            server.broadcaster.close()
            await server.http.stop(timedelta(seconds=4))
            await server.stop_loops()
    finally:
        await transport.close(timedelta(seconds=3))
        await store.close(5)
