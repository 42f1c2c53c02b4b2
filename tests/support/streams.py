"""Server processes in this one, as far as the database can tell, and clients that read their streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from server_beta.bootstrap import _Server
from server_beta.domain.api_keys import hash_key, new_key
from server_beta.domain.ids import ProjectId, TeamId
from server_beta.domain.observations import Draft, Observation
from server_beta.services.broadcaster import Broadcaster
from server_beta.settings import Settings
from server_beta.storage import keys, observations
from server_beta.storage.database import Connection, Database
from server_beta.storage.notifications import Listener
from tests.support.tenants import BEGINNING, Tenant
from tests.support.transports import HeldTransport


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event."""

    id: str
    name: str
    data: Any

    @property
    def title(self) -> object:
        """What the tests tell observations apart by."""
        return self.data.get("title", self.name)


@dataclass(slots=True)
class Stream:
    """The reading side of one stream."""

    response: aiohttp.ClientResponse
    last_id: str = ""
    lines: list[str] = field(default_factory=list)

    async def next(self, within: float = 5.0) -> Event:
        """Return the next event; what is dispatched to nobody only moves the last id."""
        name, data = "", ""
        async with asyncio.timeout(within):
            while True:
                raw = await self.response.content.readline()
                if not raw:
                    raise EOFError
                line = raw.decode().removesuffix("\n")
                self.lines.append(line)
                if line == "" and data:
                    return Event(self.last_id, name, json.loads(data))
                member, _, value = line.partition(": ")
                match member:
                    case "id":
                        self.last_id = value
                    case "event":
                        name = value
                    case "data":
                        data += value
                    case _:
                        pass

    async def take(self, number: int, within: float = 10.0) -> list[Event]:
        """Return as many events."""
        return [await self.next(within) for _ in range(number)]

    async def says_nothing(self, seconds: float = 0.3) -> bool:
        """Whether no event comes for a while."""
        try:
            await self.next(seconds)
        except TimeoutError:
            return True
        return False

    async def is_over(self, within: float = 5.0) -> bool:
        """Whether the stream ends, after whatever else comes."""
        async with asyncio.timeout(within):
            try:
                while True:
                    await self.next(within)
            except (EOFError, aiohttp.ClientError, ConnectionError):
                return True


@dataclass(slots=True)
class Node:
    """A server on a database."""

    server: _Server
    listener: Listener
    url: str

    @property
    def broadcaster(self) -> Broadcaster:
        """Who sends its streams."""
        return self.server.broadcaster

    @asynccontextmanager
    async def stream(self, key: str, last_id: str | None = None, query: str = "") -> AsyncIterator[Stream]:
        """Open a stream, which must be let in; it is ready to hear of changes when this is entered."""
        async with self.opened(key, last_id, query) as response:
            assert response.status == 200, await response.text()
            stream = Stream(response)
            while not stream.last_id:
                line = (await response.content.readline()).decode().removesuffix("\n")
                stream.lines.append(line)
                if line.startswith("id: "):
                    stream.last_id = line.removeprefix("id: ")
            yield stream

    @asynccontextmanager
    async def opened(
        self, key: str | None, last_id: str | None = None, query: str = "", path: str = "/v1/stream"
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send the request alone."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as client,
            client.get(f"{self.url}{path}{query}", headers=headers) as response,
        ):
            yield response


@asynccontextmanager
async def node(dsn: str, data_dir: Path, **settings: Any) -> AsyncIterator[Node]:
    """Run a server on this database for the length of a block; it generates nothing."""
    database = await Database.open(dsn)
    listener = Listener(dsn)
    server = _Server(
        Settings(data_dir=data_dir, port=0, generation_disabled=True, **settings), database, HeldTransport(), listener
    )
    try:
        host, port = await server.start()
        try:
            yield Node(server, listener, f"http://{host}:{port}")
        finally:
            server.signals.close()
            server.broadcaster.close()
            await server.http.stop(timedelta(seconds=4))
            await server.stop_loops()
    finally:
        await database.close(5)


async def make_key(
    store: Database,
    tenant: Tenant,
    *scopes: str,
    project_id: ProjectId | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Make a key of the tenant's team; may read everything unless told."""
    key = new_key()
    async with store.connection() as connection:
        await keys.insert(
            connection,
            tenant.principal.team_id,
            project_id,
            "test",
            hash_key(key),
            scopes or ("observations:read", "jobs:read"),
            expires_at,
        )
    return key


async def observe(store: Database, tenant: Tenant, title: str, kind: str = "change", size: int = 0) -> Observation:
    """Store an observation, in a transaction of its own."""
    async with store.transaction() as connection:
        return await observe_in(
            connection, tenant.principal.team_id, tenant.project.id, Draft(kind, title, narrative="x" * size)
        )


async def observe_in(connection: Connection, team_id: TeamId, project_id: ProjectId, draft: Draft) -> Observation:
    """Store an observation in a transaction."""
    return await observations.upsert(
        connection, team_id, project_id, None, draft, generation_key=None, happened_at=BEGINNING
    )
