"""Put the worker together: the only module that knows every concrete class."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta

from .consumer import lanes
from .consumer.lanes import ConsumeLanes
from .domain.ports import Provider, SystemClock
from .http.app import build_app
from .http.server import HttpServer
from .http.services import Services
from .logs import write_logs
from .providers.extractive import ExtractiveProvider
from .services import close_turns, drain_spool, rescue_jobs
from .services.close_turns import CloseTurns
from .services.context import Context
from .services.drain_spool import DrainSpool
from .services.generate import Generate
from .services.health import Health
from .services.hooks import Hooks
from .services.ingest import Ingest
from .services.jobs import Jobs
from .services.ledger import Ledger
from .services.local_token import LocalToken, ensure_token
from .services.looper import Looper
from .services.observations import Observations
from .services.projects import Projects
from .services.rescue_jobs import RescueJobs
from .services.signals import Signals
from .settings import Settings
from .storage.database import Database
from .version import VERSION

log = logging.getLogger(__name__)

DATABASE_FILE = "worker.db"
# Together less than 10 s, the whole time that a stop may take.
_HTTP_GRACE = timedelta(seconds=4)
_LOOP_SECONDS = 3.0


async def serve(settings: Settings, stop: asyncio.Event, ready: Callable[[str, int], None]) -> None:
    """Run the worker until `stop` is set; calls `ready` with its address once it can be used.

    The caller holds the data folder's lock. Raises a StartRefused, in one sentence, when something cannot be used.
    """
    write_logs(settings.log_level)
    async with AsyncExitStack() as running:
        token = ensure_token(settings.data_dir)
        database = Database.open(settings.data_dir / DATABASE_FILE)
        running.push_async_callback(asyncio.to_thread, database.close)
        worker = _Worker(settings, database, token)
        running.push_async_callback(worker.stop_loops)
        host, port = await worker.start()
        ready(host, port)
        log.info("ready", extra={"action": "ready", "host": host, "port": port, "version": VERSION})
        await stop.wait()
        log.info("stopping", extra={"action": "stopping"})
        await worker.http.stop(_HTTP_GRACE)
    log.info("stopped", extra={"action": "stopped"})


class _Worker:
    def __init__(self, settings: Settings, database: Database, token: LocalToken) -> None:
        clock, signals, ledger = SystemClock(), Signals(), Ledger()
        provider: Provider = ExtractiveProvider()
        generate = Generate(database, provider, signals, ledger, clock)
        jobs = Jobs(database)
        consumer = Looper("consume_lanes", ConsumeLanes(generate, jobs, clock).run, lanes.EVERY)
        context = Context(database, clock, settings.context_token_budget)
        hooks = Hooks(database, Ingest(database, clock, consumer.wake), context, signals, clock, settings)
        spool = DrainSpool(settings.data_dir / "spool" / "worker", hooks)
        health = Health(settings, VERSION, database, provider, spool, ledger, clock)
        services = Services(token, hooks, context, Observations(database), jobs, Projects(database), health)
        self._settings = settings
        self._rescue = RescueJobs(database, clock, consumer.wake)
        self.http = HttpServer(build_app(services, settings))
        self._loops = [
            Looper("drain_spool", spool.run, drain_spool.EVERY),
            Looper("close_turns", CloseTurns(database, clock, consumer.wake).run, close_turns.EVERY),
            Looper("rescue_jobs", self._rescue.run, rescue_jobs.EVERY),
        ]
        if not settings.generation_disabled:
            self._loops.append(consumer)

    async def start(self) -> tuple[str, int]:
        """Listen first: a port that is taken must not have begun any work."""
        address = await self.http.start(self._settings.host, self._settings.port)
        await self._rescue.run_at_start()
        for looper in self._loops:
            looper.start()
        return address

    async def stop_loops(self) -> None:
        """End the background loops; what they leave undone is taken up by the next start."""
        await asyncio.gather(*(looper.stop(_LOOP_SECONDS) for looper in self._loops))
