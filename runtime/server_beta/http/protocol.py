"""One connection: what is not HTTP gets an answer like any other, and nobody holds a place without using it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from .edge import dress, new_request_id
from .problems import problem_of, whereabouts

log = structlog.get_logger()


class Protocol(web.RequestHandler):
    """Serves one connection.

    A request's head has to arrive within `head_seconds` of its first byte. When there are more connections than `most`,
    the one that has been there for longest without a request under way makes room.
    """

    __slots__ = ("_crowd", "_head_seconds", "_late", "_most")

    def __init__(self, server: web.Server, *, head_seconds: float, most: int, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._crowd = server
        self._head_seconds = head_seconds
        self._most = most
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, and make room where there is none."""
        super().connection_made(transport)
        crowd = self._crowd.connections
        if len(crowd) > self._most:
            idle = (one for one in crowd if isinstance(one, Protocol) and one is not self and one.is_idle)
            next(idle, self).force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let it go."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes, and begin to wait for the rest where they begin a request."""
        known = self._request_count
        super().data_received(data)
        if self._request_count != known:
            self._stop_waiting()
        elif self._late is None and self.is_idle:
            self._late = asyncio.get_running_loop().call_later(self._head_seconds, self._give_up)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes what was sent
    ) -> web.StreamResponse:
        """Answer what could not be parsed, without quoting it: perhaps a key, perhaps a payload."""
        if request.writer.output_size > 0:
            raise ConnectionError("An answer has begun already.")
        response = problem_of(_refusal(status, exc))
        response.force_close()
        request_id = new_request_id()
        dress(response, request_id)
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            trace = whereabouts(exc) if exc is not None else []
            log.error("an answer failed", action="http_answer_failed", trace=trace, request_id=request_id)
        else:
            kind = type(exc).__name__
            log.info("refused what is no request", action="http_malformed", error=kind, request_id=request_id)
        return response

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, and the connection is not being closed already."""
        return self.transport is not None and not self._request_in_progress and not self._messages

    def _give_up(self) -> None:
        self._late = None
        if self.is_idle:
            self.force_close()

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def _refusal(status: int, error: BaseException | None) -> Exception:
    if isinstance(error, LineTooLong):
        return web.HTTPRequestHeaderFieldsTooLarge()
    return web.HTTPBadRequest() if status == HTTPStatus.BAD_REQUEST else RuntimeError()
