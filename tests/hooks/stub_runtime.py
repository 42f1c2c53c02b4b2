"""A runtime of the tests' own on loopback: records what the hook sends and answers however badly it is told to."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over the wire; header names in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def event(self) -> str:
        return self.line.split(" ")[1].rpartition("/")[2]


class StubRuntime:
    """Listens until the `with` block ends; `requests` holds what arrived, in order."""

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Request] = []
        self._behaviours = behaviours or (answers(200, b"{}"),)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.arrived = threading.Event()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        number = 0
        while True:
            connection, _ = self._listener.accept()
            if self._stopping.is_set():
                connection.close()
                return
            behaviour = self._behaviours[min(number, len(self._behaviours) - 1)]
            number += 1
            thread = threading.Thread(target=self._serve, args=(connection, behaviour))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, behaviour: Behaviour) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(10)
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:
                connection.close()
                return
        with connection:
            try:
                request = _read(connection)
                if request is not None:
                    self.requests.append(request)
                    self.arrived.set()
                    behaviour(connection, self._stopping)
            except OSError:
                return


def _read(connection: socket.socket) -> Request | None:
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        if not more:
            return None
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    line, *lines = head.decode("ascii").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in lines)}
    while len(body) < int(headers["content-length"]):
        more = connection.recv(1 << 20)
        if not more:
            return None
        body += more
    return Request(line, headers, body, head + b"\r\n\r\n" + body)


def answers(status: int, body: bytes, *headers: bytes, length: int | None = None) -> Behaviour:
    """Answer with a status and a body."""

    def behave(connection: socket.socket, _stopping: threading.Event) -> None:
        lines = [b"HTTP/1.1 %d Whatever" % status, b"Content-Type: application/json", *headers]
        if status != 204:
            lines.append(b"Content-Length: %d" % (len(body) if length is None else length))
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)

    return behave


def sends(content: bytes) -> Behaviour:
    """Send these very bytes and close."""

    def behave(connection: socket.socket, _stopping: threading.Event) -> None:
        connection.sendall(content)

    return behave


def hangs(_connection: socket.socket, stopping: threading.Event) -> None:
    """Never answer."""
    stopping.wait(20)


def drips(connection: socket.socket, stopping: threading.Event) -> None:
    """Answer a byte at a time, each one early enough to keep a socket's own timeout quiet."""
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b" " * 2000:
        connection.sendall(bytes([byte]))
        if stopping.wait(0.05):
            return


def resets(connection: socket.socket, _stopping: threading.Event) -> None:
    """Break the connection off hard."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
