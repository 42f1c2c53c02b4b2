"""BullMQ on Redis or Valkey: two bounded connection pools, one to publish and ask, one to consume."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import structlog
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ..domain.errors import QueueUnreachable
from ..domain.jobs import Lane
from .bull import LaneSource, Link

_CONNECT_SECONDS = 1.0
_COMMAND_SECONDS = 2.0
# Seconds that a lane blocks on its marker. The socket timeout of that pool has to be longer, or every idle wait fails.
_BLOCK_SECONDS = 2
_BLOCKED_COMMAND_SECONDS = 4.0
_OPEN_SECONDS = 4.0
_PUBLISH_CONNECTIONS = 8
_CONSUME_CONNECTIONS = 16

_REFUSALS = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)

log = structlog.get_logger()


class RedisBackend:
    """The Redis that CLAUDE_MEM_REDIS_URL names; all its keys begin with the prefix."""

    name = "redis"
    failures: tuple[type[Exception], ...] = (exceptions.RedisError, OSError)

    def __init__(self, url: str, prefix: str) -> None:
        self.warnings: tuple[str, ...] = ()
        self.address = _address(url)
        # One immediate retry covers a pooled connection that died unnoticed. None when consuming: a fetch whose answer
        # was lost may have locked a job, and asking again would lock a second one.
        self._client = _client(url, _COMMAND_SECONDS, _PUBLISH_CONNECTIONS, retries=1)
        self._consuming_client = _client(url, _BLOCKED_COMMAND_SECONDS, _CONSUME_CONNECTIONS, retries=0)
        self.publishing = self.probing = Link({"connection": self._client, "prefix": prefix}, cancellable=True)
        self._consuming = Link({"connection": self._consuming_client, "prefix": prefix}, cancellable=True)

    async def open(self) -> None:
        """Wait until Redis answers and check how it is set up; raises QueueUnreachable within 5 s."""
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await self._first_answer()
                await self._check_eviction()
        except _REFUSALS as error:
            raise QueueUnreachable(
                f"Redis at {self.address} refuses this user or password; check CLAUDE_MEM_REDIS_URL."
            ) from error
        except self.failures as error:
            raise QueueUnreachable(f"Redis at {self.address} does not answer; check CLAUDE_MEM_REDIS_URL.") from error

    def source(self, lane: Lane) -> LaneSource:
        """Open the lane for consuming."""

        async def wait() -> None:
            await self._consuming.block(lane, _BLOCK_SECONDS)

        return self._consuming.source(lane, wait)

    async def close(self) -> None:
        """Drop all connections."""
        try:
            await self._consuming_client.aclose()
        finally:
            await self._client.aclose()

    async def _first_answer(self) -> None:
        # A Redis that starts together with us refuses connections at first, and then says that it is loading.
        while True:
            try:
                await self.publishing.prepare()
                return
            except _REFUSALS:
                raise
            except (exceptions.BusyLoadingError, exceptions.ConnectionError, exceptions.TimeoutError):
                await asyncio.sleep(0.1)

    async def _check_eviction(self) -> None:
        try:
            policy = str((await self._client.info("memory"))["maxmemory_policy"])
        except (exceptions.ResponseError, KeyError):
            # A hosted Redis may keep this to itself.
            return
        if policy == "noeviction":
            return
        warning = (
            f"Redis at {self.address} may evict queued jobs (maxmemory-policy is {policy}); "
            "set maxmemory-policy to noeviction."
        )
        self.warnings = (warning,)
        log.warning(warning, action="queue.eviction", policy=policy)


def _client(url: str, command_seconds: float, connections: int, retries: int) -> Redis:
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=command_seconds,
        decode_responses=True,
        protocol=2,
        socket_connect_timeout=_CONNECT_SECONDS,
        socket_timeout=command_seconds,
        retry=Retry(NoBackoff(), retries, supported_errors=(exceptions.ConnectionError,)),
    )
    return Redis.from_pool(pool)


def _address(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port or 6379
    except ValueError as error:
        raise _not_a_url() from error
    if parts.scheme == "unix" and parts.path:
        return parts.path
    if parts.scheme not in {"redis", "rediss"}:
        raise _not_a_url()
    return f"{parts.hostname or 'localhost'}:{port}"


def _not_a_url() -> QueueUnreachable:
    return QueueUnreachable("CLAUDE_MEM_REDIS_URL is not a Redis URL; write it as redis://host:port/number.")
