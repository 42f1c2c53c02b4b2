"""What a runtime says about itself over HTTP, asked within a deadline."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from .state import Running, reachable

_RUNTIMES = frozenset({"server-beta", "worker"})
_MAX_BYTES = 1 << 20
_IDENTITY_SECONDS = 2.0
_HEALTH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: the status code and the JSON object in the body."""

    status: int
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who answers on a port: a runtime of claude-mem, and its pid when it tells."""

    runtime: str
    pid: int | None


def ask_identity(host: str, port: int) -> Speaker | None:
    """Ask who answers there; None when nobody does, or nobody of ours."""
    alive = _get(host, port, "/healthz", _IDENTITY_SECONDS)
    runtime = alive.body.get("runtime") if alive is not None else None
    if not isinstance(runtime, str) or runtime not in _RUNTIMES:
        return None
    health = _get(host, port, "/api/health", _IDENTITY_SECONDS)
    pid = health.body.get("pid") if health is not None else None
    return Speaker(runtime, pid if isinstance(pid, int) else None)


def answers(running: Running) -> bool:
    """Tell whether the process that published itself is the one that answers on its port."""
    speaker = ask_identity(reachable(running.host), running.port)
    return speaker is not None and speaker.runtime == running.runtime and speaker.pid in {None, running.process.pid}


def ask_health(host: str, port: int) -> Answer | None:
    """Ask for the health with every dependency probed; None when there is no usable answer in time."""
    return _get(host, port, "/api/health", _HEALTH_SECONDS)


def _get(host: str, port: int, path: str, seconds: float) -> Answer | None:
    # A bare socket: whatever holds the port gets one deadline for everything, which http.client cannot give.
    deadline = time.monotonic() + seconds
    shown_host = f"[{host}]" if ":" in host else host
    request = f"GET {path} HTTP/1.0\r\nHost: {shown_host}:{port}\r\nAccept: application/json\r\n\r\n"
    received = bytearray()
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            connection.sendall(request.encode("ascii"))
            while len(received) < _MAX_BYTES:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                chunk = connection.recv(1 << 16)
                if not chunk:
                    break
                received += chunk
    except OSError:
        return None
    return _parse(bytes(received))


def _parse(received: bytes) -> Answer | None:
    head, _, body = received.partition(b"\r\n\r\n")
    status_line = head.split(b"\r\n", 1)[0].split()
    if len(status_line) < 2 or not status_line[0].startswith(b"HTTP/") or not status_line[1].isdigit():
        return None
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return Answer(int(status_line[1]), content) if isinstance(content, dict) else None
