"""Ask a running runtime over HTTP; every question has an answer or a refusal within a deadline."""

from __future__ import annotations

import json
import queue
import shlex
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode

from ..domain.errors import ClaudeMemError
from . import launch, lockfile, state
from .runtime import Runtime
from .state import StateFolder

CALL_SECONDS = 10.0
_MAX_ANSWER_BYTES = 32 << 20
_KEY_FILES = {"worker": ".worker.token", "server-beta": ".server-beta.key"}

Query = Mapping[str, str | int]


class NotRunning(ClaudeMemError):
    """The runtime is not running."""


class NoAnswer(ClaudeMemError):
    """The runtime did not answer in time, or with something that is no answer."""


class Refused(ClaudeMemError):
    """The runtime refused the question; the message is its own."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a runtime listens, below which path, and the key that it wants to see, with where that was found."""

    name: str
    host: str
    port: int
    key: str = field(repr=False)
    key_source: str
    path: str = ""
    is_tls: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes


def local_address(runtime: Runtime, folder: StateFolder, key: str = "") -> Address:
    """Find the runtime of this data folder; raises NotRunning, with how to start it, when there is none.

    The key is the one that the runtime left in the data folder, unless the settings gave another.
    """
    try:
        lock = lockfile.look(folder.lock)
    except OSError as error:
        raise NotRunning(f"{folder.lock} cannot be read ({error.strerror}); see what `doctor` says.") from error
    if isinstance(lock, lockfile.Free):
        start = shlex.join(launch.command(runtime.package, ["start"]))
        raise NotRunning(f"The claude-mem {runtime.name} is not running; start it with: {start}")
    running = state.read(folder)
    # The files of a process that is gone name a port that may be anybody's by now, and the key is not for them.
    if running is None or running.process != lock.holder:
        raise NotRunning(f"The claude-mem {runtime.name} is starting or stopping; try again in a few seconds.")
    key_file = folder.root / _KEY_FILES[runtime.name]
    return Address(
        name=runtime.name,
        host=state.reachable(running.host),
        port=running.port,
        key=key or _key(runtime, key_file),
        key_source="CLAUDE_MEM_SERVER_API_KEY" if key else str(key_file),
    )


def ask(address: Address, method: str, path: str, body: object = None, query: Query | None = None) -> dict[str, object]:
    """Send one question and return the JSON object of the answer; raises NoAnswer or Refused."""
    target = f"{address.path}{path}" + (f"?{urlencode(query)}" if query else "")
    outcomes: queue.SimpleQueue[_Answer | Exception] = queue.SimpleQueue()
    opened: list[socket.socket] = []

    def exchange() -> None:
        try:
            outcomes.put(_exchange(address, method, target, body, opened))
        except Exception as error:
            outcomes.put(error)

    # On a thread that may be left behind: neither the resolver nor a slow sender heeds a deadline of ours.
    Thread(target=exchange, name="ask", daemon=True).start()
    try:
        outcome = outcomes.get(timeout=CALL_SECONDS)
    except queue.Empty:
        for connection in opened:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        raise NoAnswer(f"{address.name} did not answer within {CALL_SECONDS:g} s; try again, or restart it.") from None
    if isinstance(outcome, Exception):
        raise _unreachable(address, outcome) from outcome
    return _content(address, outcome)


def _exchange(address: Address, method: str, target: str, body: object, opened: list[socket.socket]) -> _Answer:
    from http.client import HTTPConnection, HTTPSConnection  # slow to import, and a client may never ask anything

    kind = HTTPSConnection if address.is_tls else HTTPConnection
    connection = kind(address.host, address.port, timeout=CALL_SECONDS)
    headers = {"Accept": "application/json", "Authorization": f"Bearer {address.key}", "Connection": "close"}
    content = None
    if body is not None:
        content = json.dumps(body).encode("ascii")
        headers["Content-Type"] = "application/json"
    try:
        connection.connect()
        opened.append(connection.sock)
        connection.request(method, target, content, headers)
        response = connection.getresponse()
        return _Answer(response.status, response.read(_MAX_ANSWER_BYTES))
    finally:
        connection.close()


def _content(address: Address, answer: _Answer) -> dict[str, object]:
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise NoAnswer(f"What answers in place of {address.name} is no claude-mem (status {answer.status}).")
    if 200 <= answer.status < 300:
        return content
    if answer.status in (401, 403):
        raise Refused(f"{address.name} does not accept the key in {address.key_source}, or not for reading.")
    message = content.get("message")
    if not isinstance(message, str) or not message:
        message = f"{address.name} answered with status {answer.status}."
    raise Refused(message)


def _unreachable(address: Address, error: Exception) -> NoAnswer:
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return NoAnswer(f"{address.name} cannot be reached on {address.host}:{address.port} ({reason.lower()}).")


def _key(runtime: Runtime, path: Path) -> str:
    try:
        key = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        key = ""
    if not key or not key.isprintable() or " " in key:
        raise NotRunning(f"{path} holds no key for {runtime.name}; restart {runtime.name}, which makes one.")
    return key
