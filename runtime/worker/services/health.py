"""Report what this worker is and how it fares, from real probes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..domain.errors import Unavailable
from ..domain.instants import to_milliseconds
from ..domain.jobs import JobStatus, Lane
from ..domain.ports import Clock, Provider
from ..domain.records import HealthReport
from ..settings import Settings
from ..storage import events, jobs, schema
from ..storage.connection import Connection
from ..storage.database import Database
from ..storage.jobs import Count
from .drain_spool import DrainSpool
from .ledger import Ledger

_PROBE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class _Probe:
    schema_version: int
    counts: Sequence[Count]
    events_today: int


@dataclass(frozen=True, slots=True)
class Health:
    """Answers the open routes. Every probe is bounded; none raises."""

    settings: Settings
    version: str
    database: Database
    provider: Provider
    spool: DrainSpool
    ledger: Ledger
    clock: Clock
    started: float = field(default_factory=time.monotonic)

    async def info(self) -> dict[str, object]:
        """Say what this worker is made of and whether each part works."""
        probe = await self._probe()
        return {
            "name": "claude-mem-worker",
            "version": self.version,
            "runtime": "worker",
            "authMode": "local-token",
            "sqlite": {
                "initialized": probe is not None,
                "schemaVersion": probe.schema_version if probe else None,
            },
            "boundaries": self._boundaries(probe),
            "queueLanes": _lanes(probe),
        }

    async def report(self) -> HealthReport:
        """Say how the worker fares: `ok` only when the database answers and stores, and generation works."""
        probe = await self._probe()
        ok = probe is not None
        is_storing = self.database.is_storing
        last = self.ledger.last_success_at
        return HealthReport(
            ok,
            {
                "status": "ok" if ok and is_storing and self.ledger.consecutive_failures == 0 else "degraded",
                "runtime": "worker",
                "version": self.version,
                "pid": os.getpid(),
                "uptime": round(time.monotonic() - self.started, 3),
                "initialized": ok,
                "dataDir": str(self.settings.data_dir),
                "database": {"engine": "sqlite", "status": _database_status(ok, is_storing)},
                "queue": {"engine": "sqlite", "lanes": _lanes(probe)},
                "generation": {
                    "status": self._generation_status(),
                    "provider": self.provider.name,
                    "lastSuccessEpoch": to_milliseconds(last) if last else None,
                    "consecutiveFailures": self.ledger.consecutive_failures,
                    "lastFailure": self.ledger.last_failure,
                },
                "jobs": _by_status(probe) if probe else None,
                "eventsToday": probe.events_today if probe else None,
                "spool": await asyncio.to_thread(self.spool.state),
                "spend": {"todayTokens": 0, "dailyBudget": None},
            },
        )

    async def readiness(self) -> HealthReport:
        """Say whether requests can be served."""
        ok = await self._probe() is not None
        return HealthReport(
            ok,
            {
                "status": "ready" if ok else "unavailable",
                "runtime": "worker",
                "dependencies": {"sqlite": "connected" if ok else "unavailable"},
            },
        )

    async def _probe(self) -> _Probe | None:
        now = self.clock.now()
        # "Today" is the day of the person at this machine.
        midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                return await self.database.read(lambda connection: _look(connection, now, midnight))
        except (Unavailable, TimeoutError):
            return None

    def _generation_status(self) -> str:
        if self.settings.generation_disabled:
            return "disabled"
        return "active" if self.ledger.consecutive_failures == 0 else "degraded"

    def _boundaries(self, probe: _Probe | None) -> dict[str, object]:
        answers = "active" if probe is not None else "errored"
        lanes = ", ".join(Lane)
        return {
            "queueManager": _boundary(answers, "a table in the worker's own SQLite file"),
            "generationWorkerManager": (
                _boundary("disabled", "CLAUDE_MEM_GENERATION_DISABLED is set")
                if self.settings.generation_disabled
                else _boundary(answers, f"consumes the lanes {lanes}")
            ),
            "providerRegistry": _boundary("active", f"generates with {self.provider.name}"),
            "eventBroadcaster": _boundary("disabled", "this version has no /v1/stream route"),
        }


def _look(connection: Connection, now: datetime, midnight: datetime) -> _Probe:
    return _Probe(schema.version(connection), jobs.counts(connection, now), events.count_since(connection, midnight))


def _database_status(answers: bool, is_storing: bool) -> str:
    if not answers:
        return "unavailable"
    return "connected" if is_storing else "read-only: the latest event could not be stored"


def _by_status(probe: _Probe) -> dict[str, int]:
    shown = (JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.FAILED)
    return {status.value: sum(count.jobs for count in probe.counts if count.status is status) for status in shown}


def _lanes(probe: _Probe | None) -> list[dict[str, object]]:
    return [_lane(lane, probe.counts if probe else None) for lane in Lane]


def _lane(lane: Lane, counts: Sequence[Count] | None) -> dict[str, object]:
    def count(status: JobStatus, *, delayed: bool = False) -> int:
        return sum(
            one.jobs
            for one in counts or ()
            if one.source_type.lane is lane
            and one.status is status
            and (one.is_delayed and status is JobStatus.QUEUED) == delayed
        )

    return {
        "kind": lane.value,
        "name": lane.queue_name,
        "waiting": count(JobStatus.QUEUED),
        "active": count(JobStatus.PROCESSING),
        "completed": count(JobStatus.COMPLETED),
        "failed": count(JobStatus.FAILED),
        "delayed": count(JobStatus.QUEUED, delayed=True),
        "stalled": 0,
        "unavailable": counts is None,
    }


def _boundary(status: str, reason: str) -> dict[str, object]:
    return {"status": status, "reason": reason}
