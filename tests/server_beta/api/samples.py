"""Requests made from the types that validate them: what each route takes, and every place in it."""

from __future__ import annotations

import copy
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from server_beta.http.fields import ExactlyOne, ObservationName
from server_beta.http.route import Route

Place = tuple[str | int, ...]

# What names an object, by how parameters, members and the words before `{id}` in a path call it.
KINDS = {
    "projectId": "project",
    "projects": "project",
    "serverSessionId": "session",
    "sessionId": "session",
    "sessions": "session",
    "eventId": "event",
    "agentEventId": "event",
    "events": "event",
    "jobId": "job",
    "jobs": "job",
    "teamId": "team",
    "teams": "team",
    "keyId": "key",
    "keys": "key",
    "observationId": "observation",
    "observations": "observation",
    "memories": "observation",
    "anchor": "observation",
    "ids": "observation",
}
# What a type cannot tell: texts that mean something, and what a client's hook sends.
TEXTS: dict[str, object] = {
    "scopes": ["observations:read"],
    "adapter": "claude-code",
    "event": "SessionStart",
    "expiresAtEpoch": 4_102_444_800_000,
}
BODIES: dict[str, dict[str, object]] = {
    "/v1/hooks/{adapter}/{event:[A-Za-z]{1,64}}": {"session_id": "s-1", "hook_event_name": "SessionStart"},
}
_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")


class Unknown(AssertionError):
    """A route takes something that these tests do not know how to fill in."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent to a route."""

    route: Route
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def target(self) -> str:
        """The path with its parameters."""
        path = _PARAMETER.sub(lambda found: quote(self.path[found[1]], safe=""), self.route.path)
        return path + (f"?{urlencode(self.query)}" if self.query else "")


def name_of(route: Route) -> str:
    """Name a route in a test's id."""
    path = _PARAMETER.sub(r"{\1}", route.path)
    return f"{route.method} {path}"


def request(route: Route, ids: Mapping[str, UUID], *, whole: bool = False) -> Request:
    """Make a good request; `ids` gives an object of each kind, `whole` fills in what is optional, too."""
    shape = route.shape()
    path = {name: str(example(kind, ids, noun_before(route, name))) for name, kind in shape.path.items()}
    query = {} if shape.query is None else example(shape.query, ids, "query", whole=whole)
    query.pop("cursor", None)
    texts = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in query.items()
    }
    body = None if shape.body is None else BODIES.get(route.path) or example(shape.body, ids, "body", whole=whole)
    return Request(route, path, texts, body)


def noun_before(route: Route, parameter: str) -> str:
    """Return the word before `{id}`; a parameter with a name of its own keeps that."""
    if parameter != "id":
        return parameter
    return route.path.partition("/{id}")[0].rpartition("/")[2]


def members(kind: Any) -> tuple[Any, ...]:
    """List what a union or an annotated type stands for."""
    if kind is ObservationName:
        return (kind,)
    if get_origin(kind) is Annotated:
        return members(get_args(kind)[0])
    if get_origin(kind) in {Union, types.UnionType}:
        return tuple(
            inner for one in get_args(kind) for inner in members(one) if inner not in {type(None), msgspec.UnsetType}
        )
    return (kind,)


def metas(kind: Any) -> Iterator[msgspec.Meta]:
    """Yield what an annotated type says of itself and of the types in it."""
    yield from getattr(kind, "__metadata__", ())
    for inner in get_args(kind):
        yield from metas(inner) if not isinstance(inner, str | msgspec.Meta) else ()


def id_kind(kind: Any, name: str) -> str | None:
    """Return what kind of object an id names; fails for one that is not known here."""
    if not {UUID, ObservationName} & set(members(kind)):
        return None
    if name not in KINDS:
        raise Unknown(f"{name} is an id, and tests/server_beta/api/samples.py does not know of what")
    return KINDS[name]


def example(kind: Any, ids: Mapping[str, UUID], name: str, *, whole: bool = False) -> Any:
    """Make a good value of a type."""
    if name in TEXTS:
        return TEXTS[name]
    if (noun := id_kind(kind, name)) is not None:
        return str(ids[noun])
    first = members(kind)[0]
    if get_origin(first) is Literal:
        return get_args(first)[0]
    if get_origin(first) in {list, tuple}:
        return [example(get_args(first)[0], ids, name, whole=whole)]
    if get_origin(first) is dict or first is dict:
        return {"note": "text"}
    if isinstance(first, type) and issubclass(first, msgspec.Struct):
        return _object(first, ids, whole=whole)
    if isinstance(first, type) and issubclass(first, Enum):
        return next(iter(first)).value
    plain: dict[Any, object] = {
        object: {"note": "text"},
        str: "text",
        int: 1,
        float: 1.5,
        bool: False,
        datetime: "2026-01-02T03:04:05Z",
    }
    if first not in plain:
        raise Unknown(f"{name} is of a type that tests/server_beta/api/samples.py makes nothing of: {first}")
    return plain[first]


def _object(kind: type[msgspec.Struct], ids: Mapping[str, UUID], *, whole: bool) -> dict[str, Any]:
    rules: dict[str, Any] = getattr(kind, "rules", {})
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    wanted = {name for name, one in fields.items() if whole or one.required}
    wanted |= set(rules["anyOf"][0]["required"] if "anyOf" in rules else [])
    wanted |= {"title"} if "minProperties" in rules else set()
    wanted -= set(rules.get("not", {}).get("required", [])[1:])
    if issubclass(kind, ExactlyOne):
        first, *others = kind.wire_names()
        wanted = (wanted | {first}) - set(others)
    return {name: example(one.type, ids, name, whole=whole) for name, one in fields.items() if name in wanted}


def places(kind: Any, at: Place = (), name: str = "") -> Iterator[tuple[Place, str, Any]]:
    """Yield every place in a value of a type: where, what it is called, and what belongs there."""
    if at:
        yield at, name, kind
    for member in members(kind):
        if get_origin(member) is list:
            yield from places(get_args(member)[0], (*at, 0), name)
        elif isinstance(member, type) and issubclass(member, msgspec.Struct):
            for one in msgspec.structs.fields(member):
                yield from places(one.type, (*at, one.encode_name), one.encode_name)


def replaced(value: Any, at: Place, by: object) -> Any:
    """Return a copy with another value in a place; None where there is no such place in this value."""
    changed = copy.deepcopy(value)
    inner = changed
    for step in at[:-1]:
        if isinstance(inner, dict) and step in inner:
            inner = inner[step]
        elif isinstance(inner, list) and inner:
            inner = inner[0]
        else:
            return None
    inner[at[-1]] = by
    return changed
