"""A route and its handler: what the handler takes and gives is read from its annotations, and from nowhere else.

A handler is `async def f(exchange: Exchange, id: UUID, query: Q, body: B) -> Answer[A]`. Every parameter but the first
is optional: `query` and `body` are validated against their types, the others are taken from the path. `Answer[None]`
has no content; a handler that streams returns a `web.StreamResponse`, and its route names the content type.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from aiohttp import web

from ..domain.errors import NotFound
from ..domain.principals import Scope
from .body import read_json, storable
from .exchange import Answer, Exchange, json_response
from .validation import checked, checked_query

Handler = Callable[..., Awaitable[Answer[Any] | web.StreamResponse]]

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
_ID = "[0-9A-Fa-f-]{32,36}"


class Entry(Enum):
    """Whom a route lets in, where neither everybody may come nor one scope decides."""

    ANY_KEY = "any key"
    LOCAL_OR_ADMIN = "this machine, or a key of scope admin"


class NoFilters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a list without filters takes: one that is ignored would be believed to work."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a handler takes, by parameter, and the type of its answer's body: NoneType where it has no content.

    `query` and `body` are None where the handler takes none, `answer` where it writes its answer itself.
    """

    path: Mapping[str, type]
    query: Any
    body: Any
    answer: Any


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `scope` is checked before the body is read, None lets everybody in; `statuses` are of good answers.

    What annotations cannot tell is told here: `content_type` of an answer that the handler writes itself, `conflicts`
    where the state of an object may forbid the request, and the `headers` that the handler reads, each explained.
    """

    method: str
    path: str
    handler: Handler
    scope: Scope | Entry | None
    statuses: tuple[int, ...] = (200,)
    content_type: str = JSON
    conflicts: bool = False
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def needs_key(self) -> bool:
        """Whether nobody is let in without a key."""
        return self.scope not in {None, Entry.LOCAL_OR_ADMIN}

    def shape(self) -> Shape:
        """Read the handler's annotations."""
        hints = get_type_hints(self.handler, include_extras=True)
        returned = hints.pop("return")
        takes = {name: hints[name] for name in list(inspect.signature(self.handler).parameters)[1:]}
        nothing = NoFilters if self.method == "GET" and self.needs_key else None
        query, body = takes.pop("query", nothing), takes.pop("body", None)
        return Shape(takes, query, body, get_args(returned)[0] if get_origin(returned) is Answer else None)

    def pattern(self) -> str:
        """Return the path for the router: an id is an id there, so that `/v1/events/batch` is never an event."""
        path = self.path
        for name, wanted in self.shape().path.items():
            if wanted is UUID:
                path = path.replace(f"{{{name}}}", f"{{{name}:{_ID}}}")
        return path

    def serve(self) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Make what the router calls: it validates, calls the handler and writes its answer."""
        shape, handler = self.shape(), self.handler

        async def serve(request: web.Request) -> web.StreamResponse:
            arguments: dict[str, Any] = {
                name: _path_value(request.match_info[name], wanted) for name, wanted in shape.path.items()
            }
            if shape.query is not None:
                query = checked_query(request.query, shape.query)
                if shape.query is not NoFilters:
                    arguments["query"] = query
            if shape.body is not None:
                arguments["body"] = checked(await read_json(request), shape.body)
            answer = await handler(Exchange(request), **arguments)
            if not isinstance(answer, Answer):
                return answer
            if shape.answer is type(None):
                return web.Response(status=answer.status)
            return json_response(answer.body, answer.status)

        return serve


def _path_value(text: str, wanted: type) -> object:
    try:
        return msgspec.convert(storable(text), wanted, strict=False)
    except msgspec.ValidationError:
        # What is no id names nothing.
        raise NotFound from None
