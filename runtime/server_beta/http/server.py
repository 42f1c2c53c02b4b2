"""The listening server: bound to one address, stopped without dropping what it is answering."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from datetime import timedelta
from functools import partial

from aiohttp import web

from ..domain.errors import PortTaken, StartRefused
from .protocol import Protocol

_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 75.0
# How long a refused request's body is read on, so that its sender sees the answer instead of a reset.
_LINGER_SECONDS = 2.0
_HEAD_SECONDS = 10.0
_MOST_CONNECTIONS = 4_000
# What the store, the queue and the files need of the descriptors that a process may open.
_OTHER_DESCRIPTORS = 100


class HttpServer:
    """Serves an application on one address."""

    def __init__(
        self,
        app: web.Application,
        *,
        head_seconds: float = _HEAD_SECONDS,
        most_connections: int = _MOST_CONNECTIONS,
    ) -> None:
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        self._head_seconds = head_seconds
        self._most_connections = most_connections
        self._listening: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Bind and serve; returns the address. Raises PortTaken, or StartRefused for an address that is not ours."""
        listener = _bind(host, port)
        try:
            await self._runner.setup()
            self._listening = await asyncio.get_running_loop().create_server(
                self._protocol(), sock=listener, backlog=_BACKLOG
            )
        except BaseException:
            listener.close()
            raise
        return listener.getsockname()[0], listener.getsockname()[1]

    async def stop(self, grace: timedelta) -> None:
        """Accept no more, close idle connections, let running requests finish within `grace`, then close."""
        if self._listening is not None:
            self._listening.close()
        # A connection that was accepted just now gets its turn to become a request.
        await asyncio.sleep(0)
        if self._runner.server is not None:
            self._runner.server.pre_shutdown()
            # It waits this long for a handler to end, and once more before it is cut off.
            await self._runner.server.shutdown(grace.total_seconds() / 2)
        await self._runner.cleanup()

    def _protocol(self) -> partial[Protocol]:
        assert self._runner.server is not None
        return partial(
            Protocol,
            self._runner.server,
            head_seconds=self._head_seconds,
            most=min(self._most_connections, _descriptors(self._most_connections) - _OTHER_DESCRIPTORS),
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            lingering_time=_LINGER_SECONDS,
        )


def _descriptors(connections: int) -> int:
    """Have as many descriptors as the connections take, or as many as the system allows; how many there are."""
    wanted = connections + _OTHER_DESCRIPTORS
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):
        return soft
    return allowed


def _bind(host: str, port: int) -> socket.socket:
    try:
        # One socket, also for a name with several addresses: with port 0 each would get a port of its own.
        family, kind, protocol, _, address = min(
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE),
            key=lambda found: found[0] != socket.AF_INET,
        )
    except socket.gaierror as error:
        raise StartRefused(f"{host} is no address of this machine; set CLAUDE_MEM_SERVER_HOST.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two sockets may be bound with SO_REUSEADDR; only one of them may listen.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _refused(host, port, error) from error
    listener.setblocking(False)
    return listener


def _refused(host: str, port: int, error: OSError) -> StartRefused:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(f"Another process holds {host}:{port}; stop it or set CLAUDE_MEM_SERVER_PORT.")
    return StartRefused(f"Cannot listen on {host}:{port}: {error.strerror}.")
