"""Connections of callers that speak no HTTP, half of it, two kinds at once, or nothing at all."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from server_beta.http.app import build_app
from server_beta.http.edge import SECURITY_HEADERS
from server_beta.http.server import HttpServer
from tests.server_beta.unit.http_fakes import KEY, FakeServices, loopback_settings

GRACE = timedelta(seconds=1)
CANARY = b"canary-7f3a"
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HOOK = b"POST /v1/hooks/claude-code/Stop HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
SMUGGLED = (
    b"POST /v1/hooks/claude-code/Smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Key: " + KEY.encode() + b"\r\n\r\n"
)

Address = tuple[str, int]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def fake() -> FakeServices:
    return FakeServices()


@asynccontextmanager
async def serving(
    fake: FakeServices, tmp_path: Path, head_seconds: float = 10, most: int = 4000
) -> AsyncIterator[Address]:
    app = build_app(fake.services(), loopback_settings(tmp_path))
    server = HttpServer(app, head_seconds=head_seconds, most_connections=most)
    try:
        yield await server.start("127.0.0.1", 0)
    finally:
        await server.stop(GRACE)


@pytest.fixture
async def address(fake: FakeServices, tmp_path: Path) -> AsyncIterator[Address]:
    async with serving(fake, tmp_path) as address:
        yield address


@asynccontextmanager
async def connection(address: Address) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes, however it does that."""
    got = b""
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            while part := await reader.read(65536):
                got += part
    return got


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        return head + await reader.readexactly(
            int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        )


async def works(address: Address) -> bool:
    async with connection(address) as (reader, writer):
        writer.write(HEALTHZ)
        return (await answer(reader)).startswith(b"HTTP/1.1 200")


def headers_of(got: bytes) -> dict[str, str]:
    lines = got.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


MALFORMED = {
    "no protocol": CANARY + b"\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown version": b"GET /" + CANARY + b" HTTP/1.9\r\nHost: 127.0.0.1\r\n\r\n",
    "line feeds alone": b"GET /" + CANARY + b" HTTP/1.1\nHost: 127.0.0.1\n\n",
    "no colon": HEALTHZ[:-2] + CANARY + b"\r\n\r\n",
    "a folded header": HEALTHZ[:-2] + b"X-A: a\r\n " + CANARY + b"\r\n\r\n",
    "a zero byte": HEALTHZ[:-2] + b"X-A: " + CANARY + b"\x00\r\n\r\n",
    "a bare return": HEALTHZ[:-2] + b"X-A: " + CANARY + b"\rX-B: b\r\n\r\n",
    "a space before the colon": HEALTHZ[:-2] + b"X-A : " + CANARY + b"\r\n\r\n",
    "no host": b"GET /" + CANARY + b" HTTP/1.1\r\n\r\n",
    "two hosts": HEALTHZ[:-2] + b"Host: " + CANARY + b"\r\n\r\n",
    "a target that is no URL": b"GET http://[" + CANARY + b"/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "500 headers": HEALTHZ[:-2] + b"".join(b"X-%d: %s\r\n" % (n, CANARY) for n in range(500)) + b"\r\n",
    "a length that is none": HOOK + b"Content-Length: -5\r\n\r\n" + CANARY,
    "a length with a sign": HOOK + b"Content-Length: +5\r\n\r\n" + CANARY,
    "two lengths": HOOK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + SMUGGLED,
    "a length and chunks": HOOK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks and a length": HOOK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks within something": HOOK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunks of a kind": HOOK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
}
TOO_LARGE = {
    "a long header": HEALTHZ[:-2] + b"X-A: " + CANARY * 2000 + b"\r\n\r\n",
    "a long header name": HEALTHZ[:-2] + CANARY * 2000 + b": a\r\n\r\n",
    "a long target": b"GET /" + CANARY * 2000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


@pytest.mark.parametrize(
    ("sent", "status"),
    [*((sent, 400) for sent in MALFORMED.values()), *((sent, 431) for sent in TOO_LARGE.values())],
    ids=[*MALFORMED, *TOO_LARGE],
)
async def test_what_is_no_request_gets_an_answer_like_any_other(
    address: Address, fake: FakeServices, sent: bytes, status: int
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connection(address) as (reader, writer):
            writer.write(sent)
            got = await all_of(reader)
    assert got.count(b"HTTP/1.") == 1
    head, _, body = got.partition(b"\r\n\r\n")
    headers, problem = headers_of(got), json.loads(body)
    assert int(head.split()[1]) == problem["status"] == status
    assert headers["Content-Type"].startswith("application/problem+json")
    assert {name: headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["X-Request-Id"])
    assert CANARY not in got
    assert not re.search(rb"aiohttp|python", got, re.IGNORECASE)
    assert CANARY.decode() not in json.dumps(logs)
    assert [line["request_id"] for line in logs if line["action"] == "http_malformed"] == [headers["X-Request-Id"]]
    assert fake.asked == fake.authenticated == []
    assert await works(address)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /canary-7f3a\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", 200),
        (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 403),
        (b"GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403),
        (b"GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 403),
        (b"TRACE /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: canary-7f3a\r\nConnection: close\r\n\r\n", 405),
        (b"HEAD /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 405),
    ],
)
async def test_a_request_of_an_unusual_form(address: Address, sent: bytes, status: int) -> None:
    async with connection(address) as (reader, writer):
        writer.write(sent)
        got = await all_of(reader)
    assert int(got.split()[1]) == status
    assert {name: headers_of(got).get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert CANARY not in got


async def test_a_request_that_is_longer_than_it_says_smuggles_nothing(address: Address, fake: FakeServices) -> None:
    async with connection(address) as (reader, writer):
        writer.write(HOOK + b"Content-Length: 2\r\n\r\n{}")
        assert (await answer(reader)).startswith(b"HTTP/1.1 201")
        writer.write(HOOK + b"Content-Length: 2\r\n\r\n{}rest" + SMUGGLED)
        assert (await all_of(reader)).endswith(b"}")
    assert {asked[1] for asked in fake.asked} == {"Stop"}


@pytest.mark.parametrize("first", [b"", HEALTHZ], ids=["at once", "after a request"])
async def test_a_head_that_never_ends_ends_the_connection(fake: FakeServices, tmp_path: Path, first: bytes) -> None:
    async with serving(fake, tmp_path, head_seconds=0.3) as address, connection(address) as (reader, writer):
        if first:
            writer.write(first)
            await answer(reader)
        began = time.monotonic()
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        trickling = asyncio.create_task(_trickle(writer))
        assert await all_of(reader) == b""
        trickling.cancel()
        assert 0.2 < time.monotonic() - began < 2
        assert await works(address)


async def _trickle(writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while True:
            writer.write(b"X-Slow: 1\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)


async def test_a_head_in_pieces_is_served(fake: FakeServices, tmp_path: Path) -> None:
    async with serving(fake, tmp_path, head_seconds=5) as address, connection(address) as (reader, writer):
        for _ in range(2):
            for byte in HEALTHZ:
                writer.write(bytes([byte]))
                await writer.drain()
            assert (await answer(reader)).startswith(b"HTTP/1.1 200")


async def test_a_connection_whose_head_came_in_pieces_may_idle_afterwards(fake: FakeServices, tmp_path: Path) -> None:
    async with serving(fake, tmp_path, head_seconds=0.2) as address, connection(address) as (reader, writer):
        writer.write(HEALTHZ[:9])
        assert await works(address)
        writer.write(HEALTHZ[9:])
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")
        await until_one_is_given_up(address)
        writer.write(HEALTHZ)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")


async def test_a_body_has_longer_than_a_head(fake: FakeServices, tmp_path: Path) -> None:
    async with serving(fake, tmp_path, head_seconds=0.1) as address, connection(address) as (reader, writer):
        writer.write(HOOK + b"Content-Length: 2\r\n\r\n{")
        await until_one_is_given_up(address)
        writer.write(b"}")
        assert (await answer(reader)).startswith(b"HTTP/1.1 201")


async def until_one_is_given_up(address: Address) -> None:
    """Begin a request that never ends: whatever began before has been given up, too, by the time that it is."""
    async with connection(address) as (reader, writer):
        writer.write(HEALTHZ[:9])
        assert await all_of(reader) == b""


async def test_a_thousand_idle_connections_hold_nobody_up(address: Address) -> None:
    async with AsyncExitStack() as idle:
        for number in range(1000):
            _, writer = await idle.enter_async_context(connection(address))
            writer.write(b"GET /heal" if number % 2 else b"")
        began = time.monotonic()
        assert await works(address)
        assert time.monotonic() - began < 1


async def test_when_there_are_too_many_the_one_that_idles_for_longest_makes_room(
    fake: FakeServices, tmp_path: Path
) -> None:
    async with serving(fake, tmp_path, most=10) as address, AsyncExitStack() as places:
        busy_reader, busy = await places.enter_async_context(connection(address))
        busy.write(HOOK + b"Content-Length: 2\r\n\r\n{")
        readers = [(await places.enter_async_context(connection(address)))[0] for _ in range(9)]
        for _ in range(5):
            newest_reader, newest = await places.enter_async_context(connection(address))
            newest.write(HEALTHZ)
            assert (await answer(newest_reader)).startswith(b"HTTP/1.1 200")
        assert [await all_of(reader) for reader in readers[:5]] == [b""] * 5
        assert not any(reader.at_eof() for reader in readers[5:])
        busy.write(b"}")
        assert (await answer(busy_reader)).startswith(b"HTTP/1.1 201")


async def test_when_all_are_at_work_the_newest_is_turned_away(fake: FakeServices, tmp_path: Path) -> None:
    async with serving(fake, tmp_path, most=3) as address, AsyncExitStack() as places:
        busy = []
        for _ in range(3):
            reader, writer = await places.enter_async_context(connection(address))
            writer.write(HOOK + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            async with asyncio.timeout(5):
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            busy.append((reader, writer))
        newest, writer = await places.enter_async_context(connection(address))
        writer.write(HEALTHZ)
        assert await all_of(newest) == b""
        for reader, writer in busy:
            writer.write(b"{}")
            assert (await answer(reader)).startswith(b"HTTP/1.1 20")
