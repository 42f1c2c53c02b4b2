"""The text of `/metrics`: what this process has counted, and what the store and the queue say at the moment."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Gauge, generate_latest

from ..domain.jobs import JobStatus, SourceType
from ..domain.ports import JobTransport, LaneCounts
from ..storage import jobs
from ..storage.database import Database
from .broadcaster import Broadcaster
from .metrics import Metrics

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_KEPT_SECONDS = 1.0
_PROBE_SECONDS = 1.5
# A backlog of more is a backlog of more; counting on would only burden the database that is behind.
_MOST_COUNTED = 10_000
_OPEN = (JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.FAILED)


@dataclass(slots=True)
class Exposition:
    """Answers scrapes; however many ask, the store and the queue are asked once a second."""

    metrics: Metrics
    database: Database
    transport: JobTransport
    broadcaster: Broadcaster
    version: str
    _started: float = field(default_factory=time.monotonic)
    _text: bytes = b""
    _made_at: float = float("-inf")
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)
    _gauges: dict[str, Gauge] = field(default_factory=dict)

    async def text(self) -> bytes:
        """Return the metrics in Prometheus' text format; what cannot be asked at the moment is absent."""
        async with self._making:
            if time.monotonic() - self._made_at >= _KEPT_SECONDS:
                await asyncio.gather(self._measure_store(), self._measure_queue())
                self._measure_process()
                self._text = generate_latest(self.metrics.registry)
                self._made_at = time.monotonic()
            return self._text

    async def _measure_store(self) -> None:
        is_open = self._gauge("jobs", "Jobs that are not completed or cancelled, by lane and status.", "lane", "status")
        backlog = self._gauge("relay_backlog", f"Due jobs that the queue was not told of, {_MOST_COUNTED} at most.")
        is_up = self._gauge("database_up", "Whether the database answers.")
        is_open.clear()
        try:
            async with asyncio.timeout(_PROBE_SECONDS), self.database.connection() as connection:
                counts = await jobs.counts(connection)
                backlog.set(await jobs.backlog(connection, _MOST_COUNTED))
        except Exception:
            # Whatever it is: a scrape that fails tells less than one that says so.
            is_up.set(0)
            backlog.set(float("nan"))
            return
        is_up.set(1)
        for source_type in SourceType:
            for status in _OPEN:
                is_open.labels(source_type.lane.value, status.value).set(counts.get((source_type, status), 0))

    async def _measure_queue(self) -> None:
        held = self._gauge("transport_messages", "Messages that a lane holds, by state.", "lane", "state")
        is_up = self._gauge("transport_up", "Whether the queue answers for a lane.", "lane")
        held.clear()
        for lane in await self.transport.counts():
            is_up.labels(lane.lane.value).set(not lane.unavailable)
            if not lane.unavailable:
                for state, number in _states(lane).items():
                    held.labels(lane.lane.value, state).set(number)

    def _measure_process(self) -> None:
        used, most = self.database.connections
        pool = self._gauge("database_connections", "Connections of the pool, in use and at most.", "state")
        pool.labels("used").set(used)
        pool.labels("most").set(most)
        self._gauge("stream_subscribers", "Open streams.").set(self.broadcaster.subscribers)
        self._gauge("stream_listening", "Whether changes are heard of at once.").set(self.broadcaster.is_listening)
        self._gauge("uptime_seconds", "How long this server has been running.").set(time.monotonic() - self._started)
        self._gauge("build_info", "What runs here.", "version").labels(self.version).set(1)

    def _gauge(self, name: str, told: str, *labels: str) -> Gauge:
        if name not in self._gauges:
            self._gauges[name] = Gauge(f"claude_mem_{name}", told, labels, registry=self.metrics.registry)
        return self._gauges[name]


def _states(lane: LaneCounts) -> dict[str, int]:
    return {
        "waiting": lane.waiting,
        "active": lane.active,
        "completed": lane.completed,
        "failed": lane.failed,
        "delayed": lane.delayed,
        "stalled": lane.stalled,
    }
