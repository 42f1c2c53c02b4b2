"""A steady load on a server, and what came of each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from .server import Server

OPEN = ("/readyz", "/api/readiness", "/healthz", "/v1/info")


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer; `at` is when its request was sent, on the clock of `time.monotonic`."""

    path: str
    at: float
    seconds: float
    status: int
    body: dict[str, Any]


@dataclass
class Load:
    """Sends events and asks the open routes, each at its own pace, without waiting for what is slow."""

    server: Server
    project: str
    seen: list[Seen] = field(default_factory=list)
    _sent: set[asyncio.Task[None]] = field(default_factory=set)
    _number: int = 0

    def of(self, path: str, since: float = 0.0, until: float = float("inf")) -> list[Seen]:
        """Return what was seen of a path, by the time of sending."""
        return sorted(
            (one for one in self.seen if one.path == path and since <= one.at < until), key=lambda one: one.at
        )

    def acknowledged(self) -> set[str]:
        """Return the ids of the events that the server has taken."""
        return {one.body["event"]["id"] for one in self.of("/v1/events") if one.status in {200, 201}}

    async def until(self, path: str, status: int, since: float, within: float) -> float:
        """Return how long after `since` the path was first seen to answer with the status."""
        patience = time.monotonic() + within
        while time.monotonic() < patience:
            for one in self.of(path, since):
                if one.status == status:
                    return one.at + one.seconds - since
            await asyncio.sleep(0.02)
        raise AssertionError(f"{path} did not answer {status} within {within:g} s: {self.of(path, since)[-3:]}")

    @asynccontextmanager
    async def running(self, events_per_second: float = 30) -> AsyncIterator[None]:
        """Keep up the load for the length of a block, then wait for the last answers."""
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{self.server.port}", headers={"X-Api-Key": self.server.key}
        ) as session:
            paces = [asyncio.create_task(self._pace(session, "/v1/events", events_per_second))]
            paces += [asyncio.create_task(self._pace(session, path, 5)) for path in OPEN]
            try:
                yield
            finally:
                for pace in paces:
                    pace.cancel()
                await asyncio.gather(*paces, return_exceptions=True)
                await asyncio.gather(*self._sent)

    async def _pace(self, session: aiohttp.ClientSession, path: str, per_second: float) -> None:
        while True:
            task = asyncio.create_task(self._send(session, path))
            self._sent.add(task)
            await asyncio.sleep(1 / per_second)

    async def _send(self, session: aiohttp.ClientSession, path: str) -> None:
        at = time.monotonic()
        self._number += 1
        event = {
            "projectId": self.project,
            "sourceType": "api",
            "eventType": "note",
            "occurredAtEpoch": 1_700_000_000_000,
            "sourceEventId": f"load-{self._number}",
            "payload": {"text": "We decided to keep prices in cents."},
        }
        sending = session.post(path, json=event) if path == "/v1/events" else session.get(path)
        async with sending as response:
            body = await response.json(content_type=None)
        self.seen.append(Seen(path, at, time.monotonic() - at, response.status, body))
