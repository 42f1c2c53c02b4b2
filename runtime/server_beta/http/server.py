"""The listening server: bound to one address, stopped without dropping what it is answering."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from datetime import timedelta

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ..domain.errors import PortTaken, StartRefused

_BACKLOG = 1024
_KEEP_ALIVE_SECONDS = 75.0
# How long a refused request's body is read on, so that its sender sees the answer instead of a reset.
_LINGER_SECONDS = 2.0


class HttpServer:
    """Serves an application on one address."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            lingering_time=_LINGER_SECONDS,
            logger=_protocol_log(),
        )

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Bind and serve; returns the address. Raises PortTaken, or StartRefused for an address that is not ours."""
        listener = _bind(host, port)
        try:
            await self._runner.setup()
            await web.SockSite(self._runner, listener, backlog=_BACKLOG).start()
        except BaseException:
            listener.close()
            raise
        return listener.getsockname()[0], listener.getsockname()[1]

    async def stop(self, grace: timedelta) -> None:
        """Accept no more, close idle connections, let running requests finish within `grace`, then close."""
        for site in self._runner.sites:
            await site.stop()
        # A connection that was accepted just now gets its turn to become a request.
        await asyncio.sleep(0)
        if self._runner.server is not None:
            self._runner.server.pre_shutdown()
            # It waits this long for a handler to end, and once more before it is cut off.
            await self._runner.server.shutdown(grace.total_seconds() / 2)
        await self._runner.cleanup()


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


def _protocol_log() -> logging.Logger:
    log = logging.getLogger("server_beta.http.protocol")
    log.addFilter(_without_quotes)
    return log


def _without_quotes(record: logging.LogRecord) -> bool:
    # The parser's errors quote the bytes they stumbled over: perhaps a key, perhaps a payload.
    if record.exc_info is not None and isinstance(record.exc_info[1], HttpProcessingError):
        record.msg = f"{record.msg}: {type(record.exc_info[1]).__name__}"
        record.exc_info = None
    return True
