"""Request bodies: read within bounds, decoded into plain JSON values that every later step can store and encode.

The standard library's decoder takes NaN, endless numbers and lone surrogates, which agents do send (half an emoji in a
truncated tool output): numbers out of range are refused, characters that no UTF-8 text holds are replaced.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import NoReturn

from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from ..domain.errors import InvalidInput, Issue, PayloadTooLarge
from ..domain.text import scrub

MAX_BODY_BYTES = 5 * 1024 * 1024
# Deep enough for any tool's output, shallow enough for every recursive encoder that comes later.
MAX_DEPTH = 128
_READ_SECONDS = 30.0

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def expect_later(_request: web.Request) -> None:
    """Leave `Expect: 100-continue` unanswered until the body is wanted: a refused request never sends it."""


async def read_object(request: web.Request) -> dict[str, object]:
    """Read the body, which must be one JSON object; raises PayloadTooLarge or InvalidInput."""
    body = decode(await _read(request))
    if not isinstance(body, dict):
        message = "The request body must be one JSON object."
        raise InvalidInput(message, (Issue("$", message, "invalid_type"),))
    return body


def decode(body: bytes) -> object:
    """Decode JSON text; raises InvalidInput when it is malformed, too deep or has a number out of range."""
    try:
        text = body.decode("utf-8", "surrogatepass")
        value = json.loads(text, parse_constant=_refuse_number, parse_float=_finite, parse_int=_whole)
    except UnicodeDecodeError:
        raise _malformed("The request body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"The request body is not valid JSON (line {error.lineno}, column {error.colno}).") from None
    except RecursionError:
        raise _too_deep() from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise _too_deep()
    # Neither NUL nor a surrogate comes in without an escape or a byte that begins one.
    return _storable(value) if b"\\u" in body or b"\xed" in body else value


async def _read(request: web.Request) -> bytes:
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise PayloadTooLarge
    try:
        async with asyncio.timeout(_READ_SECONDS):
            if "Expect" in request.headers:
                await request.writer.write(_CONTINUE)
                # Nothing of the answer proper has been written: aiohttp may still send another status.
                request.writer.output_size = 0
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise PayloadTooLarge from None
    except TimeoutError:
        # Not a 400: the hook would take that for a bad event and drop it.
        raise web.HTTPRequestTimeout from None
    except (ConnectionError, ClientPayloadError, RequestPayloadError, HttpProcessingError):
        raise InvalidInput("The request body did not arrive whole.") from None


def _storable(value: object) -> object:
    match value:
        case str():
            return scrub(value)
        case list():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
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
