"""The real listener: binding, raw bytes, callers that go away, and a stop that loses no answer."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from server_beta.domain.errors import PortTaken, StartRefused
from server_beta.domain.principals import Principal
from server_beta.domain.records import HookAnswer
from server_beta.http.app import build_app
from server_beta.http.server import HttpServer
from tests.server_beta.unit.http_fakes import KEY, FakeServices, loopback_settings

HOOK = b"POST /v1/hooks/claude-code/Stop HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
STRANGER = b"POST /v1/hooks/claude-code/Stop HTTP/1.1\r\nHost: 127.0.0.1\r\n"
GRACE = timedelta(seconds=5)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class SlowServices(FakeServices):
    """Hooks that are answered when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()

    async def receive(self, _principal: Principal, *_: object) -> HookAnswer:
        self.entered.set()
        await self.go_on.wait()
        return HookAnswer({"done": True}, True)


@pytest.fixture
def fake() -> FakeServices:
    return FakeServices()


@pytest.fixture
async def address(fake: FakeServices, tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    server = HttpServer(build_app(fake.services(), loopback_settings(tmp_path)))
    yield await server.start("127.0.0.1", 0)
    await server.stop(GRACE)


@asynccontextmanager
async def connection(address: tuple[str, int]) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(address: tuple[str, int], *parts: bytes) -> bytes:
    """Send raw bytes and read until the server closes, or has answered in full."""
    async with connection(address) as (reader, writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await answer(reader)


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + await reader.readexactly(length)


async def until_idle(fake: FakeServices, address: tuple[str, int]) -> None:
    """Let the server notice what happened before: its answer to a later request proves that it went on."""
    assert (await exchange(address, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_taken_port_is_named(tmp_path: Path, fake: FakeServices) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        server = HttpServer(build_app(fake.services(), loopback_settings(tmp_path)))
        with pytest.raises(PortTaken, match=f"127.0.0.1:{port}"):
            await server.start("127.0.0.1", port)
        await server.stop(GRACE)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_an_address_of_another_machine_is_refused(tmp_path: Path, fake: FakeServices, host: str) -> None:
    server = HttpServer(build_app(fake.services(), loopback_settings(tmp_path)))
    with pytest.raises(StartRefused, match=host):
        await server.start(host, 0)
    await server.stop(GRACE)


async def test_a_name_of_two_addresses_gets_one_port(
    tmp_path: Path, fake: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    v6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0))
    v4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [v6, v4])
    server = HttpServer(build_app(fake.services(), loopback_settings(tmp_path)))
    address = await server.start("localhost", 0)
    assert address[0] == "127.0.0.1"
    await until_idle(fake, address)
    await server.stop(GRACE)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


async def test_a_chunked_body_is_read(address: tuple[str, int], fake: FakeServices) -> None:
    got = await exchange(
        address, HOOK + b"Transfer-Encoding: chunked\r\n\r\n", b'4\r\n{"a"\r\n', b"3\r\n:1}\r\n0\r\n\r\n"
    )
    assert got.startswith(b"HTTP/1.1 201")
    assert fake.asked[0][2] == {"a": 1}


async def test_a_chunked_body_has_the_same_limit(address: tuple[str, int], fake: FakeServices) -> None:
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    got = await exchange(address, HOOK + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 6, b"0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 413")
    assert b'"error":"PayloadTooLarge"' in got
    assert fake.asked == []


async def test_a_compressed_body_counts_unpacked(address: tuple[str, int], fake: FakeServices) -> None:
    bomb, fine = gzip.compress(b" " * 50_000_000), gzip.compress(b'{"a":1}')
    head = HOOK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    assert (await exchange(address, head % len(bomb), bomb)).startswith(b"HTTP/1.1 413")
    assert fake.asked == []
    assert (await exchange(address, head % len(fine), fine)).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcdef\r\n0\r\n\r\n",
    ],
)
async def test_a_broken_transfer_is_a_400(address: tuple[str, int], fake: FakeServices, rest: bytes) -> None:
    assert b" 400 " in (await exchange(address, HOOK + rest)).partition(b"\r\n")[0]
    assert fake.asked == []


async def test_a_refused_length_is_answered_before_the_body(address: tuple[str, int], fake: FakeServices) -> None:
    got = await exchange(address, HOOK + b"Content-Length: 6000000\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 413")


async def test_a_stranger_is_answered_before_the_body(address: tuple[str, int]) -> None:
    got = await exchange(address, STRANGER + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("expectation", [b"100-continue", b"100-Continue"])
async def test_a_caller_that_waits_is_told_to_go_on(
    address: tuple[str, int], fake: FakeServices, expectation: bytes
) -> None:
    async with connection(address) as (reader, writer):
        writer.write(HOOK + b"Expect: " + expectation + b"\r\nContent-Length: 2\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await answer(reader)).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 50\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", b"Content-Len"],
)
async def test_a_caller_that_goes_away_leaves_nothing(
    address: tuple[str, int], fake: FakeServices, rest: bytes
) -> None:
    async with connection(address) as (_, writer):
        writer.write(HOOK + rest)
        await writer.drain()
    await until_idle(fake, address)
    assert fake.asked == []


async def test_pipelined_requests_are_answered_in_order(address: tuple[str, int], fake: FakeServices) -> None:
    async with connection(address) as (reader, writer):
        writer.write(HOOK + b"Content-Length: 1\r\n\r\n{" + HOOK + b"Content-Length: 2\r\n\r\n{}")
        assert (await answer(reader)).startswith(b"HTTP/1.1 400")
        assert (await answer(reader)).startswith(b"HTTP/1.1 201")


async def test_a_stop_lets_running_requests_finish(tmp_path: Path) -> None:
    slow = SlowServices()
    server = HttpServer(build_app(slow.services(), loopback_settings(tmp_path)))
    address = await server.start("127.0.0.1", 0)
    async with connection(address) as (reader, writer):
        writer.write(HOOK + b"Content-Length: 2\r\n\r\n{}")
        await slow.entered.wait()
        stopping = asyncio.create_task(server.stop(GRACE))
        async with asyncio.timeout(5):
            while True:
                try:
                    async with connection(address):
                        pass
                except ConnectionError:
                    break
        assert not stopping.done()
        slow.go_on.set()
        got = await answer(reader)
        assert got.startswith(b"HTTP/1.1 201")
        assert got.endswith(b'{"done":true}')
        await stopping
        assert await reader.read() == b""


async def test_a_stop_waits_for_no_longer_than_its_grace(tmp_path: Path) -> None:
    slow = SlowServices()
    server = HttpServer(build_app(slow.services(), loopback_settings(tmp_path)))
    address = await server.start("127.0.0.1", 0)
    async with connection(address) as (reader, writer):
        writer.write(HOOK + b"Content-Length: 2\r\n\r\n{}")
        await slow.entered.wait()
        started = time.monotonic()
        await server.stop(timedelta(milliseconds=200))
        assert time.monotonic() - started < 2
        assert await reader.read() == b""


@pytest.mark.parametrize("sent", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"])
async def test_an_idle_connection_does_not_hold_a_stop(tmp_path: Path, fake: FakeServices, sent: bytes) -> None:
    server = HttpServer(build_app(fake.services(), loopback_settings(tmp_path)))
    address = await server.start("127.0.0.1", 0)
    async with connection(address) as (reader, writer):
        writer.write(sent)
        if sent.endswith(b"\r\n\r\n"):
            await answer(reader)
        await until_idle(fake, address)
        started = time.monotonic()
        await server.stop(timedelta(seconds=30))
        assert time.monotonic() - started < 2
        assert await reader.read() == b""


async def test_a_caller_whose_body_never_comes_does_not_outlast_the_grace(tmp_path: Path, fake: FakeServices) -> None:
    server = HttpServer(build_app(fake.services(), loopback_settings(tmp_path)))
    address = await server.start("127.0.0.1", 0)
    async with connection(address) as (_, writer):
        writer.write(HOOK + b"Content-Length: 50\r\n\r\n{")
        await until_idle(fake, address)
        started = time.monotonic()
        await server.stop(timedelta(milliseconds=200))
        assert time.monotonic() - started < 2
        assert fake.asked == []
