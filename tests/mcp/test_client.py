"""The way to the runtime: which one is meant, and what is said when it does not answer as it should."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from server_beta.cli import client, identity, lockfile, state
from server_beta.cli.client import Address, NoAnswer, NotRunning, Refused, ask, local_address
from server_beta.cli.main import RUNTIME
from server_beta.cli.state import Running, StateFolder
from tests.mcp.client import Program, checkout
from tests.support.processes import watched_data_dir
from tests.support.server import Server, running_server

Behaviour = Callable[[bytes, socket.socket], None]


@contextmanager
def listener(behave: Behaviour) -> Iterator[Address]:
    """Listen, and treat each connection as told, once its whole request is read.

    A socket closed with bytes unread resets the connection, and the reset may overtake the answer.
    """

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                behave(whole_request(connection), connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=accept)
        thread.start()
        try:
            yield Address("server-beta", "127.0.0.1", listening.getsockname()[1], "secret-key", "the test")
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def whole_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (more := connection.recv(1 << 16)):
            return received
        received += more
    head, body = received.split(b"\r\n\r\n", 1)
    length = re.search(rb"(?i)content-length: (\d+)", head)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0 and (more := connection.recv(missing)):
        received += more
        missing -= len(more)
    return received


def saying(status: str, body: bytes) -> Behaviour:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    return lambda _request, connection: connection.sendall(head + body)


def until_closed(_request: bytes, connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass


def dripping(_request: bytes, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    connection.settimeout(0.02)
    while True:
        try:
            connection.sendall(b" ")
            if not connection.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return


def test_a_question_carries_the_key_and_what_it_needs() -> None:
    seen: list[bytes] = []

    def behave(request: bytes, connection: socket.socket) -> None:
        seen.append(request)
        saying("200 OK", b'{"a": [1]}')(request, connection)

    with listener(behave) as address:
        assert ask(address, "GET", "/v1/projects", query={"key": "git:a/b c&d"}) == {"a": [1]}
    assert seen[0].startswith(b"GET /v1/projects?key=git%3Aa%2Fb+c%26d HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret-key\r\n" in seen[0]


@pytest.mark.parametrize(
    ("behave", "kind", "sentence"),
    [
        (saying("200 OK", b"hello"), NoAnswer, "is no claude-mem"),
        (saying("200 OK", b"[]"), NoAnswer, "is no claude-mem"),
        (saying("200 OK", b"[" * 100_000), NoAnswer, "is no claude-mem"),
        (saying("302 Found", b"{}"), Refused, "status 302"),
        (saying("400 Bad Request", b'{"message": "limit is too large."}'), Refused, "limit is too large."),
        (saying("401 Unauthorized", b"{}"), Refused, "does not accept the key in the test"),
        (saying("403 Forbidden", b'{"message": "no"}'), Refused, "does not accept the key in the test"),
        (saying("503 Unavailable", b'{"message": "The database sleeps."}'), Refused, "The database sleeps."),
        (saying("500 Oops", b'{"message": 7}'), Refused, "status 500"),
        (lambda _request, connection: connection.sendall(b"SSH-2.0-x\r\n"), NoAnswer, "cannot be reached"),
        (lambda _request, _connection: None, NoAnswer, "cannot be reached"),
        (until_closed, NoAnswer, "did not answer within"),
        (dripping, NoAnswer, "did not answer within"),
    ],
)
def test_whatever_answers_in_its_place_is_one_sentence_in_time(
    monkeypatch: pytest.MonkeyPatch, behave: Behaviour, kind: type[Exception], sentence: str
) -> None:
    monkeypatch.setattr(client, "CALL_SECONDS", 0.5)
    with listener(behave) as address:
        started = time.monotonic()
        with pytest.raises(kind) as failed:
            ask(address, "POST", "/v1/search", {"query": "x"})
        assert time.monotonic() - started < 10
    assert sentence in str(failed.value)
    assert "secret-key" not in str(failed.value) + repr(address)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NoAnswer, match=r"cannot be reached on 127\.0\.0\.1"):
        ask(Address("worker", "127.0.0.1", port, "key", "x"), "GET", "/v1/projects")


def test_files_that_a_dead_runtime_left_lead_nowhere(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, "server-beta")
    gone = identity.ProcessIdentity(1, "another start")
    state.publish(folder, Running("server-beta", "0", gone, "127.0.0.1", 1, 0))
    (tmp_path / ".server-beta.key").write_text("key\n")
    with pytest.raises(NotRunning, match=r"is not running; start it with: .* start$"):
        local_address(RUNTIME, folder)
    lock = lockfile.acquire(folder.lock, identity.current())
    assert isinstance(lock, lockfile.Lock)
    with pytest.raises(NotRunning, match="is starting or stopping"):
        local_address(RUNTIME, folder)
    state.publish(folder, Running("server-beta", "0", identity.current(), "0.0.0.0", 7, 0))
    address = local_address(RUNTIME, folder)
    assert (address.host, address.port, address.key) == ("127.0.0.1", 7, "key")
    assert local_address(RUNTIME, folder, "given").key_source == "CLAUDE_MEM_SERVER_API_KEY"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with watched_data_dir() as folder, running_server(folder) as running:
        running.ask("POST", "/v1/projects", {"key": "git:example.org/far", "name": "far"})
        yield running


def remote(tmp_path: Path, url: str, key: str) -> Program:
    return Program(
        "server-beta",
        tmp_path / "data",
        checkout(tmp_path / "far", "https://example.org/far.git"),
        {"CLAUDE_MEM_SERVER_URL": url, "CLAUDE_MEM_SERVER_API_KEY": key},
    )


def test_a_server_elsewhere_is_asked_with_its_key(server: Server, tmp_path: Path) -> None:
    program = remote(tmp_path, f"http://localhost:{server.port}/", server.key)
    assert program.call("list_projects") == "- far: git:example.org/far (this folder's)"
    assert not program.data_dir.exists()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("{good}", "does not accept the key in CLAUDE_MEM_SERVER_API_KEY"),
        ("{good}/below", "There is no such path."),
        ("http://127.0.0.1:1", "cannot be reached on 127.0.0.1:1"),
        ("https://localhost:{port}", "cannot be reached on localhost"),
        ("localhost:37877", "write it as https://host or http://host:port."),
        ("ftp://localhost", "write it as https://host or http://host:port."),
        ("http://localhost:99999", "write it as https://host or http://host:port."),
        ("http://lo cal", "write it as https://host or http://host:port."),
    ],
)
def test_a_server_that_cannot_be_used_is_one_sentence(server: Server, tmp_path: Path, url: str, sentence: str) -> None:
    address = url.format(good=f"http://127.0.0.1:{server.port}", port=server.port)
    assert sentence in remote(tmp_path, address, "cmem_wrong").refusal("list_projects")


def test_settings_name_the_server_too(server: Server, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    settings = {"CLAUDE_MEM_SERVER_URL": f"http://127.0.0.1:{server.port}", "CLAUDE_MEM_SERVER_API_KEY": server.key}
    (data_dir / "settings.json").write_text(json.dumps(settings))
    assert Program("server-beta", data_dir, tmp_path).call("list_projects").startswith("- far:")
