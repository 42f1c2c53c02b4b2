"""A cheap load generator: prepared requests over plain connections, so that the server is what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Load:
    """What a run of requests took: all of them together, and each of them, in seconds."""

    seconds: float
    latencies: Sequence[float]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds


def post(port: int, key: str, path: str, body: bytes) -> bytes:
    """Write a whole POST request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


async def send_all(port: int, requests: Sequence[bytes], concurrency: int) -> Load:
    """Send the requests over that many connections, each of which waits for one answer before its next request.

    Raises RuntimeError for an answer that is not 201.
    """
    loop = asyncio.get_running_loop()
    left, latencies = iter(requests), list[float]()
    clients = [
        (await loop.create_connection(lambda: _Client(left, latencies), "127.0.0.1", port))[1]
        for _ in range(concurrency)
    ]
    began = time.perf_counter()
    for client in clients:
        client.send_next()
    await asyncio.gather(*(client.done for client in clients))
    return Load(time.perf_counter() - began, latencies)


class _Client(asyncio.Protocol):
    def __init__(self, left: Iterator[bytes], latencies: list[float]) -> None:
        self._left = left
        self._latencies = latencies
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._wanted = 0
        self._sent_at = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection for sending."""
        # A cast and no isinstance: uvloop's transport is one by its methods alone.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send the next request once the answer is whole."""
        self._received += data
        if not self._wanted and _END_OF_HEAD in self._received:
            self._wanted = _answer_bytes(self._received)
        if not self._wanted or len(self._received) < self._wanted:
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        if self._received.startswith(b"HTTP/1.1 201 "):
            self.send_next()
        else:
            self._fail(bytes(self._received[:500]).decode("utf-8", "replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up, unless everything was sent."""
        self._fail(f"the connection ended ({exc})")

    def send_next(self) -> None:
        """Send the next request, or hang up after the last one."""
        assert self._transport is not None
        request = next(self._left, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._received.clear()
        self._wanted = 0
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _fail(self, answer: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"The server did not store what it was sent: {answer}"))


def _answer_bytes(received: bytearray) -> int:
    head = received.index(_END_OF_HEAD)
    length_at = bytes(received[:head]).lower().index(_LENGTH) + len(_LENGTH)
    end = received.find(b"\r\n", length_at)
    return head + len(_END_OF_HEAD) + int(received[length_at:end])
