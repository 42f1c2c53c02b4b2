"""Put the server together: the only module that knows every concrete class."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import structlog

from .consumer.lanes import CONSUMED_LANES, consume_lanes
from .domain.errors import EngineFailed
from .domain.ports import JobTransport, Provider, SystemClock
from .domain.principals import LOCAL_SCOPES, Principal
from .domain.tenancy import LOCAL_TEAM_ID
from .engines.postgres import EmbeddedPostgres
from .engines.running import running_dsn
from .http.app import build_app
from .http.server import HttpServer
from .http.services import Services
from .logs import write_logs
from .providers.extractive import ExtractiveProvider
from .services import close_turns, drain_spool
from .services.access import Access
from .services.audit import Audit
from .services.author import Author
from .services.bootstrap_local import bootstrap_local
from .services.broadcaster import PRUNE_EVERY, WEED_EVERY, Broadcaster
from .services.close_turns import CloseTurns
from .services.context import Context
from .services.drain_spool import DrainSpool
from .services.exposition import Exposition
from .services.generate import Generate
from .services.group_commit import GroupCommit
from .services.health import Health
from .services.hooks import Hooks
from .services.ingest import Ingest
from .services.jobs import Jobs
from .services.keys import Keys
from .services.ledger import Ledger
from .services.legacy import Legacy
from .services.local_key import LocalKey
from .services.looper import Looper
from .services.measured_provider import MeasuredProvider
from .services.metrics import Metrics
from .services.observations import Observations
from .services.ownership import Ownership
from .services.projects import Projects
from .services.purge import Purge
from .services.relay import Relay
from .services.sessions import Sessions
from .services.signals import Signals
from .services.usage import UsageReport
from .settings import Settings
from .storage.database import Database
from .storage.migrate import migrate
from .storage.notifications import Listener
from .transport.bullmq import BullmqTransport
from .version import VERSION

log = structlog.get_logger()

# Together at most 10 s, the whole time that a stop may take.
_HTTP_GRACE = timedelta(seconds=4)
_CONSUMER_GRACE = timedelta(seconds=3)
_LOOP_SECONDS = 1.0
_POOL_SECONDS = 2.0
_NOTE_KEY_USE = timedelta(seconds=30)

# What a request makes is gone with its answer, mostly without the collector's help; what is there at the start stays.
# To look through it all as often as Python does by itself costs about 8 % of what recording an event takes.
_COLLECT_AFTER = (50_000, 20, 100)


async def serve(settings: Settings, stop: asyncio.Event, ready: Callable[[str, int], None]) -> None:
    """Run the server until `stop` is set; calls `ready` with its address once it can be used.

    Raises a StartRefused, in one sentence, when something that is configured cannot be used.
    """
    write_logs(settings.log_level)
    async with AsyncExitStack() as running:
        dsn, keeping = await running.enter_async_context(_postgres(settings))
        await migrate(dsn)
        database = await Database.open(dsn)
        running.push_async_callback(database.close, _POOL_SECONDS)
        await bootstrap_local(database, settings.data_dir, SystemClock())
        transport = _transport(settings, dsn)
        await transport.open()
        running.push_async_callback(transport.close, _CONSUMER_GRACE)
        server = _Server(settings, database, transport, Listener(dsn))
        running.push_async_callback(server.stop_loops)
        host, port = await server.start()
        _collect_seldom()
        ready(host, port)
        log.info("ready", action="ready", host=host, port=port, version=VERSION)
        failure = await _until(stop, keeping)
        log.info("stopping", action="stopping")
        server.signals.close()
        server.broadcaster.close()
        await server.http.stop(_HTTP_GRACE)
    if failure is not None:
        raise failure
    log.info("stopped", action="stopped")


@asynccontextmanager
async def open_store(settings: Settings, *, is_served: bool) -> AsyncIterator[Database]:
    """Open the store that the server reads, for a command.

    An embedded Postgres is that of the running server where it `is_served`; else it runs for the length of the block,
    and the caller holds the data folder's lock. What a server may be using is not upgraded. Raises a StartRefused, in
    one sentence, when it cannot be opened.
    """
    async with AsyncExitStack() as opened:
        if settings.database_url is not None:
            dsn = settings.database_url
        elif is_served:
            found = running_dsn(settings.data_dir)
            if found is None:
                raise EngineFailed("The server is starting or stopping; try again in a few seconds.")
            dsn = found
        else:
            engine = EmbeddedPostgres(settings.data_dir)
            opened.push_async_callback(engine.stop)
            dsn = await engine.start()
        is_ours_alone = settings.database_url is None and not is_served
        await migrate(dsn, may_upgrade=is_ours_alone)
        database = await Database.open(dsn, most_connections=2)
        opened.push_async_callback(database.close, _POOL_SECONDS)
        yield database


class _Server:
    def __init__(self, settings: Settings, database: Database, transport: JobTransport, listener: Listener) -> None:
        clock = SystemClock()
        self._settings = settings
        self._transport = transport
        self._listener = listener
        self._relay = Relay(database, transport)
        self.signals, ledger = Signals(), Ledger()
        self.broadcaster = Broadcaster(database, listener, self.signals)
        metrics = Metrics()
        self.exposition = Exposition(metrics, database, transport, self.broadcaster, VERSION)
        provider: Provider = MeasuredProvider(ExtractiveProvider(), metrics)
        self._generate = Generate(
            database, provider, self._relay, self.signals, ledger, clock, who=f"{socket.gethostname()}:{os.getpid()}"
        )
        access = Access(database, clock, settings.auth_mode)
        projects = Projects(database)
        sessions = Sessions(database, self._relay)
        context = Context(database, clock, settings.context_token_budget)
        ingest = Ingest(database, Ownership(database), GroupCommit(database), self._relay, clock, metrics)
        hooks = Hooks(database, ingest, projects, context, clock, settings)
        spool = DrainSpool(
            settings.data_dir / "spool" / "server-beta",
            hooks,
            Principal(LOCAL_TEAM_ID, None, None, LOCAL_SCOPES),
        )
        health = Health(
            settings=settings,
            version=VERSION,
            database=database,
            transport=transport,
            provider=provider,
            relay=self._relay,
            spool=spool,
            ledger=ledger,
            clock=clock,
            consumed_lanes=CONSUMED_LANES,
            broadcaster=self.broadcaster,
        )
        observations, jobs = Observations(database), Jobs(database, self.signals, self._relay)
        keys = Keys(database, clock, LocalKey(settings.data_dir))
        audit = Audit(database)
        services = Services(
            access=access,
            hooks=hooks,
            ingest=ingest,
            sessions=sessions,
            context=context,
            observations=observations,
            jobs=jobs,
            projects=projects,
            health=health,
            keys=keys,
            audit=audit,
            usage=UsageReport(database),
            broadcaster=self.broadcaster,
            metrics=metrics,
            exposition=self.exposition,
            author=Author(database),
            purge=Purge(database, transport),
            legacy=Legacy(database, hooks, clock, settings),
        )
        self.http = HttpServer(build_app(services, settings))
        self._loops = (
            Looper("drain_spool", spool.run, drain_spool.EVERY),
            Looper("close_turns", CloseTurns(database, self._relay).run, close_turns.EVERY),
            Looper("note_key_use", access.note_use, _NOTE_KEY_USE),
            Looper("weed_streams", self.broadcaster.weed, WEED_EVERY),
            Looper("prune_changes", self.broadcaster.prune, PRUNE_EVERY),
        )

    async def start(self) -> tuple[str, int]:
        """Listen first: a port that is taken must not have begun any work."""
        address = await self.http.start(self._settings.host, self._settings.port)
        if not self._settings.generation_disabled:
            consume_lanes(self._transport, self._generate, self._settings.lane_concurrency)
        self._relay.start()
        self._listener.start()
        for looper in self._loops:
            looper.start()
        return address

    async def stop_loops(self) -> None:
        """End the background loops; what they leave undone is taken up by the next start."""
        await asyncio.gather(*(looper.stop(_LOOP_SECONDS) for looper in self._loops))
        await self._relay.stop(_LOOP_SECONDS)
        await self._listener.stop()


@asynccontextmanager
async def _postgres(settings: Settings) -> AsyncIterator[tuple[str, asyncio.Task[None] | None]]:
    """Give the DSN, and for an embedded Postgres the task that keeps it alive, which ends when that fails."""
    if settings.database_url is not None:
        yield settings.database_url, None
        return
    engine = EmbeddedPostgres(settings.data_dir)
    try:
        dsn = await engine.start()
        keeping = asyncio.create_task(engine.keep_alive(), name="keep_alive")
        try:
            yield dsn, keeping
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
    finally:
        await engine.stop()


def _collect_seldom() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


async def _until(stop: asyncio.Event, keeping: asyncio.Task[None] | None) -> BaseException | None:
    """Return when the server is asked to stop, or what has ended its embedded Postgres for good."""
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({asked, keeping} if keeping else {asked}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
    return keeping.exception() if keeping is not None and keeping.done() else None


def _transport(settings: Settings, dsn: str) -> JobTransport:
    if settings.redis_url is not None:
        return BullmqTransport.on_redis(settings.redis_url, settings.queue_prefix)
    return BullmqTransport.on_postgres(dsn, settings.queue_prefix)
