"""Report what this server is and how it fares, from real probes."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from ..domain.errors import Unavailable
from ..domain.jobs import JobStatus, Lane
from ..domain.ports import Clock, JobTransport, LaneCounts, Provider
from ..domain.records import HealthReport
from ..settings import Settings
from ..storage import health, jobs
from ..storage.database import Database
from .broadcaster import Broadcaster
from .drain_spool import DrainSpool
from .ledger import Ledger
from .relay import Relay

_PROBE_SECONDS = 1.5
_READINESS_SECONDS = 1.0


@dataclass(slots=True)
class Health:
    """Answers the open routes. Every probe is bounded; none raises."""

    settings: Settings
    version: str
    database: Database
    transport: JobTransport
    provider: Provider
    relay: Relay
    spool: DrainSpool
    ledger: Ledger
    clock: Clock
    consumed_lanes: tuple[Lane, ...]
    broadcaster: Broadcaster
    _started: float = field(default_factory=time.monotonic)
    _readiness: tuple[float, HealthReport] | None = None

    async def info(self) -> dict[str, object]:
        """Say what this server is made of and whether each part works."""
        schema_version, lanes = await asyncio.gather(self._schema_version(), self.transport.counts())
        return {
            "name": "claude-mem-server",
            "version": self.version,
            "runtime": "server-beta",
            "authMode": self.settings.auth_mode,
            "postgres": {
                "initialized": schema_version is not None,
                "schemaVersion": schema_version,
                "embedded": self.settings.uses_embedded_postgres,
            },
            "boundaries": self._boundaries(schema_version is not None, lanes),
            "queueLanes": [_lane(lane) for lane in lanes],
        }

    async def report(self) -> HealthReport:
        """Say how the server fares: `ok` only when every dependency answers and generation works."""
        schema_version, lanes, queue, stored, spool = await asyncio.gather(
            self._schema_version(),
            self.transport.counts(),
            self._queue_status(),
            self._stored(),
            asyncio.to_thread(self.spool.state),
        )
        postgres = "connected" if schema_version is not None else "unavailable"
        ok = schema_version is not None and queue == "connected"
        last = self.ledger.last_success_at
        return HealthReport(
            ok,
            {
                "status": "ok" if ok else "degraded",
                "runtime": "server-beta",
                "version": self.version,
                "pid": os.getpid(),
                "uptime": round(time.monotonic() - self._started, 3),
                "initialized": schema_version is not None,
                "queue": {
                    "engine": "bullmq",
                    "backend": self.transport.engine,
                    self.transport.engine: {"status": queue},
                    "lanes": [_lane(lane) for lane in lanes],
                    "publishing": self.relay.is_publishing,
                },
                "postgres": {"status": postgres, "embedded": self.settings.uses_embedded_postgres},
                "generation": {
                    "status": self._generation_status(),
                    "provider": self.provider.name,
                    "lastSuccessEpoch": int(last.timestamp() * 1000) if last else None,
                    "consecutiveFailures": self.ledger.consecutive_failures,
                    "lastFailure": self.ledger.last_failure,
                },
                "jobs": stored["jobs"],
                "eventsToday": stored["eventsToday"],
                "spool": spool,
                "spend": {"todayTokens": stored["todayTokens"], "dailyBudget": None},
            },
        )

    async def readiness(self) -> HealthReport:
        """Say whether requests can be served, from probes at most a second old; a lost database is told at once."""
        if self.database.is_lost:
            # Known without asking, and not kept: it may be back in a moment. Its queue is as far away as itself.
            is_queue_lost = self.transport.engine == "postgres"
            return _readiness(False, "unavailable" if is_queue_lost else await self._queue_status())
        if self._readiness is not None and self._readiness[0] > time.monotonic():
            return self._readiness[1]
        schema_version, queue = await asyncio.gather(self._schema_version(), self._queue_status())
        report = _readiness(schema_version is not None, queue)
        if not self.database.is_lost:
            self._readiness = time.monotonic() + _READINESS_SECONDS, report
        return report

    async def _schema_version(self) -> int | None:
        # Also a database that answers with an error of its own is one that cannot be used.
        with suppress(Exception):
            async with asyncio.timeout(_PROBE_SECONDS), self.database.connection() as connection:
                return await health.schema_version(connection)
        return None

    async def _queue_status(self) -> str:
        try:
            await self.transport.ping()
        except Unavailable:
            return "unavailable"
        return "connected"

    async def _stored(self) -> dict[str, object]:
        midnight = datetime.combine(self.clock.now().date(), datetime.min.time(), self.clock.now().tzinfo)
        try:
            async with asyncio.timeout(_PROBE_SECONDS), self.database.connection() as connection:
                counts = await jobs.counts(connection)
                events_today, tokens_today = await health.since(connection, midnight)
        except (Unavailable, TimeoutError):
            return {"jobs": None, "eventsToday": None, "todayTokens": None}
        by_status = {
            status.value: sum(count for (_, at), count in counts.items() if at is status)
            for status in (JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.FAILED)
        }
        return {"jobs": by_status, "eventsToday": events_today, "todayTokens": tokens_today}

    def _generation_status(self) -> str:
        if self.settings.generation_disabled:
            return "disabled"
        return "active" if self.ledger.consecutive_failures == 0 else "degraded"

    def _broadcaster(self, store_answers: bool) -> dict[str, object]:
        details: dict[str, object] = {"subscribers": self.broadcaster.subscribers}
        if not store_answers:
            return _boundary("errored", "the database does not answer", details)
        if not self.broadcaster.is_listening:
            return _boundary("degraded", "changes are found by looking: nothing is heard of them", details)
        return _boundary("active", "hears of changes and sends them on /v1/stream", details)

    def _boundaries(self, store_answers: bool, lanes: tuple[LaneCounts, ...]) -> dict[str, object]:
        queue_answers = not any(lane.unavailable for lane in lanes)
        consumed = ", ".join(self.consumed_lanes)
        return {
            "queueManager": _boundary(
                "active" if queue_answers and self.relay.is_publishing else "degraded",
                f"BullMQ on {self.transport.engine}" if queue_answers else "the queue does not answer",
                {"engine": "bullmq", "backend": self.transport.engine},
            ),
            "generationWorkerManager": (
                _boundary("disabled", "CLAUDE_MEM_GENERATION_DISABLED is set")
                if self.settings.generation_disabled
                else _boundary("active" if store_answers else "degraded", f"consumes the lanes {consumed}")
            ),
            "providerRegistry": _boundary(
                "active", f"generates with {self.provider.name}", {"active": self.provider.name}
            ),
            "eventBroadcaster": self._broadcaster(store_answers),
        }


def _readiness(is_ready: bool, queue: str) -> HealthReport:
    return HealthReport(
        is_ready,
        {
            "status": "ready" if is_ready else "unavailable",
            "runtime": "server-beta",
            "dependencies": {"postgres": "connected" if is_ready else "unavailable", "queue": queue},
        },
    )


def _boundary(status: str, reason: str, details: dict[str, object] | None = None) -> dict[str, object]:
    boundary: dict[str, object] = {"status": status, "reason": reason}
    return {**boundary, "details": details} if details else boundary


def _lane(counts: LaneCounts) -> dict[str, object]:
    return {
        "kind": counts.lane.value,
        "name": counts.lane.queue_name,
        "waiting": counts.waiting,
        "active": counts.active,
        "completed": counts.completed,
        "failed": counts.failed,
        "delayed": counts.delayed,
        "stalled": counts.stalled,
        "unavailable": counts.unavailable,
    }
