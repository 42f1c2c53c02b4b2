"""Request bodies: read within bounds, decoded into plain JSON values that every later step can store and encode.

The decoder is msgspec: fast, strict, and it refuses NaN and numbers out of range. It also refuses lone surrogates,
which agents do send (half an emoji in a truncated tool output); such a body is decoded again by the standard
library, and what no text column holds is replaced.
"""

from __future__ import annotations

import asyncio
import json
import math
from functools import partial
from typing import NoReturn

import msgspec
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from ..domain.errors import InvalidInput, Issue, PayloadTooLarge
from ..domain.text import scrub
from ..services.aside import aside

MAX_BODY_BYTES = 5 * 1024 * 1024
# Deep enough for any tool's output, shallow enough for every recursive encoder that comes later, jsonb's included.
MAX_DEPTH = 128
_READ_SECONDS = 30.0

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def expect_later(_request: web.Request) -> None:
    """Leave `Expect: 100-continue` unanswered until the body is wanted: a refused request never sends it."""


async def read_json(request: web.Request) -> object:
    """Read and decode the body; raises PayloadTooLarge or InvalidInput."""
    body = await _read(request)
    return await aside(partial(decode, body), body)


def decode(body: bytes) -> object:
    """Decode JSON text; raises InvalidInput when it is malformed, too deep or has a number out of range."""
    try:
        value = _decode(body)
    except RecursionError:
        raise _too_deep() from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise _too_deep()
    return value


async def _read(request: web.Request) -> bytes:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise PayloadTooLarge
    try:
        if request.content.is_eof():
            # It came along with its head, as a small body does: nothing to wait for.
            return await request.read()
        async with asyncio.timeout(_READ_SECONDS):
            if "Expect" in request.headers:
                await request.writer.write(_CONTINUE)
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise PayloadTooLarge from None
    except TimeoutError:
        # Not a 400: the hook would take that for a bad event and drop it.
        raise web.HTTPRequestTimeout from None
    except (ConnectionError, ClientPayloadError, RequestPayloadError, HttpProcessingError):
        raise InvalidInput("The request body did not arrive whole.") from None


def _decode(body: bytes) -> object:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return storable(_decode_loosely(body))
    return storable(value) if b"\\u0000" in body else value


def _decode_loosely(body: bytes) -> object:
    try:
        text = body.decode("utf-8", "surrogatepass")
        return json.loads(text, parse_constant=_refuse_number, parse_float=_finite, parse_int=_whole)
    except UnicodeDecodeError:
        raise _malformed("The request body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"The request body is not valid JSON (line {error.lineno}, column {error.colno}).") from None


def storable(value: object) -> object:
    """Replace NUL and lone surrogates in every string: neither Postgres text nor UTF-8 can hold them."""
    match value:
        case str():
            return scrub(value)
        case list():
            return [storable(item) for item in value]
        case dict():
            return {storable(key): storable(item) for key, item in value.items()}
        case _:
            return value


def _is_deeper(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse_number(text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        # More digits than Python converts without being asked to.
        _refuse_number(text)


def _refuse_number(_text: str) -> NoReturn:
    raise _malformed("The request body has a number that is out of range.")


def _too_deep() -> InvalidInput:
    return _malformed(f"The request body is nested deeper than {MAX_DEPTH} levels.")


def _malformed(message: str) -> InvalidInput:
    return InvalidInput(message, (Issue("$", message, "invalid_json"),))
