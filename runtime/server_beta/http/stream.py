"""`/v1/stream`: what changes, as server-sent events, live and again from where a client left off.

The `id` of an event is a position (domain/changes.py); sent back as `Last-Event-ID`, it continues right behind it.
"""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from typing import assert_never
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from ..domain.changes import Change, Gap, Position
from ..domain.errors import Issue, Unavailable
from ..domain.ids import ProjectId, TeamId
from ..domain.observations import Observation
from ..domain.records import Job, Session
from ..services.broadcaster import Broadcaster
from ..services.subscription import Subscription
from . import wire
from .exchange import Exchange
from .validation import invalid

LAST_EVENT_ID = "Last-Event-ID"
CONTENT_TYPE = "text/event-stream"

# How soon a client comes back after the stream has ended.
_RETRY_MS = 2_000
# How soon a client that went away is noticed.
_LOOK_SECONDS = 1.0
# What the kernel may hold of a stream that nobody reads.
_SEND_BUFFER_BYTES = 64 * 1024

_encode = msgspec.json.Encoder().encode


class StreamQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which changes to send: those of one project, or of all that the key sees."""

    project_id: UUID | UnsetType = UNSET


class Deleted(Struct, rename="camel"):
    """What is left of something that was deleted."""

    id: UUID
    project_id: ProjectId
    team_id: TeamId


class Missed(Struct):
    """Why events are missing."""

    reason: str = "More happened than is sent again; read the lists anew, the stream goes on from here."


async def follow(exchange: Exchange, query: StreamQuery) -> web.StreamResponse:
    """Send changes as server-sent events until the client goes, its key ends or the server stops."""
    position = _position(exchange.request.headers.get(LAST_EVENT_ID))
    project_id = None if query.project_id is UNSET else ProjectId(query.project_id)
    broadcaster = exchange.services.broadcaster
    response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE, "X-Accel-Buffering": "no"})
    response.force_close()
    async with broadcaster.subscribe(exchange.principal, project_id, position) as subscription:
        await response.prepare(exchange.request)
        # A client that is gone, or that does not read: it comes back with the id of the last event that it has read.
        with suppress(ConnectionError, TimeoutError):
            await _Stream(exchange.request, response, broadcaster).send(subscription)
    _cut_if_unread(exchange.request)
    return response


class _Stream:
    """The writing side of one response."""

    def __init__(self, request: web.Request, response: web.StreamResponse, broadcaster: Broadcaster) -> None:
        self._request = request
        self._response = response
        self._heartbeat_seconds = broadcaster.heartbeat.total_seconds()
        self._patience_seconds = broadcaster.patience.total_seconds()
        self._wrote_at = 0.0

    async def send(self, subscription: Subscription) -> None:
        """Write what the subscription tells until the client is gone."""
        if self._request.transport is not None and (sock := self._request.transport.get_extra_info("socket")):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        await self._write(f"retry: {_RETRY_MS}\n{_silent_id(subscription.position)}")
        is_due = True
        while self._request.transport is not None:
            if is_due and await self._told(subscription):
                continue
            if time.monotonic() - self._wrote_at >= self._heartbeat_seconds:
                await self._write(f": \n{_silent_id(subscription.position)}")
            is_due = await subscription.wait(min(_LOOK_SECONDS, self._heartbeat_seconds))

    async def _told(self, subscription: Subscription) -> bool:
        """Write the next page; false when there was none, or when the database does not answer just now."""
        try:
            found = await subscription.read()
        except Unavailable:
            return False
        for event in [_gap(found)] if isinstance(found, Gap) else map(_event, found):
            await self._write(event)
        return bool(found)

    async def _write(self, text: str) -> None:
        # A client that stops reading would hold on to its share of this process for as long as it likes.
        async with asyncio.timeout(self._patience_seconds):
            await self._response.write(text.encode())
        self._wrote_at = time.monotonic()


def _position(text: str | None) -> Position | None:
    if not text:
        return None
    try:
        return Position.parse(text)
    except ValueError:
        message = "must be the id of an event of this stream"
        raise invalid([Issue(f"$.{LAST_EVENT_ID}", message, "invalid_value")]) from None


def _event(change: Change) -> str:
    entry = change.entry
    return f"id: {change.position}\nevent: {entry.kind.value}\ndata: {_encode(_data(change)).decode()}\n\n"


def _gap(gap: Gap) -> str:
    return f"id: {gap.position}\nevent: gap\ndata: {_encode(Missed()).decode()}\n\n"


def _silent_id(position: Position) -> str:
    # Without data nothing is dispatched, but the client knows where it stands before the first event.
    return f"id: {position}\n\n"


def _data(change: Change) -> object:
    match change.subject:
        case Observation():
            return wire.observation(change.subject)
        case Session():
            return wire.session(change.subject)
        case Job():
            return wire.job(change.subject)
        case None:
            entry = change.entry
            return Deleted(entry.subject_id, entry.project_id, entry.team_id)
        case _:
            assert_never(change.subject)


def _cut_if_unread(request: web.Request) -> None:
    # Ended amid what the client does not read: the end would have to wait behind that.
    transport = request.transport
    if transport is not None and transport.get_write_buffer_size():
        transport.abort()
