"""Ingest and generation on one store, without a transport in between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from server_beta.domain.jobs import Message, SourceType
from server_beta.domain.observations import Draft
from server_beta.domain.ports import Generated, Provider, SystemClock
from server_beta.services.generate import Generate
from server_beta.services.ingest import Ingest
from server_beta.services.ledger import Ledger
from server_beta.services.relay import Relay
from server_beta.services.signals import Signals
from server_beta.storage import jobs
from server_beta.storage.database import Database
from server_beta.storage.events import Call
from tests.support.counting import run_sql
from tests.support.tenants import Tenant
from tests.support.transports import HeldTransport


@dataclass(slots=True)
class Chain:
    """Ingest and generation on one store, without a transport in between."""

    store: Database
    tenant: Tenant
    relay: Relay
    ingest: Ingest
    transport: HeldTransport

    async def turn(self, *names: str, turn: str = "turn-1", begin: int = 0) -> Message:
        """Store a turn's events, the last one closing it, and return its batch."""
        for number, name in enumerate(names, begin):
            await self.put(number, name, "close" if name == "Stop" else "content", turn)
        return await self.waiting(SourceType.EVENT_BATCH)

    async def put(self, number: int, name: str, call: Call, turn: str = "turn-1", **payload: object) -> None:
        """Store one event."""
        event = self.tenant.event(number, name=name, turn=turn, **payload)
        await self.ingest.store(self.tenant.principal, [(event, call)], request_id="request-1")

    async def waiting(self, source_type: SourceType) -> Message:
        """Return the one queued job of a kind."""
        found = [message for message in await self.all_waiting() if message.lane is source_type.lane]
        assert len(found) == 1
        return found[0]

    async def all_waiting(self) -> list[Message]:
        """Return every queued job that is due."""
        async with self.store.connection() as connection:
            return list(await jobs.unpublished(connection, timedelta(seconds=-60), timedelta(), 100))

    def generate(self, provider: Provider, lease: timedelta = timedelta(seconds=60)) -> Generate:
        """Make a consumer's generation."""
        return Generate(self.store, provider, self.relay, Signals(), Ledger(), SystemClock(), who="test", lease=lease)

    async def titles(self, where: str = "kind <> 'summary'") -> list[str]:
        """Return what was observed."""
        return [
            str(row["title"])
            for row in await run_sql(self.store, f"SELECT title FROM observations WHERE {where} ORDER BY title")
        ]

    async def status(self, message: Message) -> str:
        """Return where a job stands."""
        rows = await run_sql(self.store, "SELECT status FROM observation_generation_jobs WHERE id = $1", message.job_id)
        return str(rows[0]["status"])

    async def history(self, message: Message) -> list[str]:
        """Return a job's lifecycle events."""
        rows = await run_sql(
            self.store,
            "SELECT event FROM observation_generation_job_events WHERE job_id = $1 ORDER BY id",
            message.job_id,
        )
        return [str(row["event"]) for row in rows]


def titled(*titles: str) -> Generated:
    """Make a provider's answer of one draft for each title."""
    return Generated(tuple(Draft("change", title) for title in titles))
