"""The spool's file format: the head of the hook's HTTP request, then its raw body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

SUFFIX = ".http"
_ROUTE = "/v1/hooks/"


class BadSpoolFile(ValueError):
    """The file is not an event that a hook wrote."""


@dataclass(frozen=True, slots=True)
class SpooledEvent:
    """One request that a hook could not deliver; header names are lower-case."""

    adapter: str
    event_name: str
    headers: Mapping[str, str]
    body: dict[str, object]


def parse_spooled(content: bytes) -> SpooledEvent:
    """Read a spool file; raises BadSpoolFile, without quoting any of it, when it is not one."""
    head, separator, body = content.partition(b"\r\n\r\n")
    if not separator:
        raise BadSpoolFile("the file has no end of head")
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = request_line.partition(" ")
    path = rest.partition(" ")[0]
    adapter, _, event_name = path.removeprefix(_ROUTE).partition("/")
    if method != "POST" or not path.startswith(_ROUTE) or not adapter or not event_name:
        raise BadSpoolFile("the file is not a hook's request")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadSpoolFile("the body is not JSON") from error
    if not isinstance(parsed, dict):
        raise BadSpoolFile("the body is not a JSON object")
    return SpooledEvent(unquote(adapter), unquote(event_name), headers, parsed)
