"""A route and its handler: what the handler takes and gives is read from its annotations, and from nowhere else.

A handler is `async def f(exchange: Exchange, id: UUID, query: Q, body: B) -> Answer[A]`. Every parameter but the first
is optional: `query` and `body` are validated against their types, the others are taken from the path.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

from aiohttp import web

from ..domain.errors import NotFound
from ..domain.principals import Scope
from .body import read_json
from .exchange import Answer, Exchange, json_response
from .validation import checked, checked_query

Handler = Callable[..., Awaitable[Answer[Any] | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a handler takes, by parameter, and the type of its answer's body; None where it has none."""

    path: Mapping[str, type]
    query: Any
    body: Any
    answer: Any


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `scope` is checked before the body is read; `statuses` are those of its good answers."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None
    statuses: tuple[int, ...] = (200,)

    def shape(self) -> Shape:
        """Read the handler's annotations."""
        hints = get_type_hints(self.handler, include_extras=True)
        returned = hints.pop("return")
        takes = {name: hints[name] for name in list(inspect.signature(self.handler).parameters)[1:]}
        query, body = takes.pop("query", None), takes.pop("body", None)
        return Shape(takes, query, body, get_args(returned)[0] if get_origin(returned) is Answer else None)

    def serve(self) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Make what the router calls: it validates, calls the handler and writes its answer."""
        shape, handler = self.shape(), self.handler

        async def serve(request: web.Request) -> web.StreamResponse:
            arguments: dict[str, Any] = {
                name: _path_value(request.match_info[name], wanted) for name, wanted in shape.path.items()
            }
            if shape.query is not None:
                arguments["query"] = checked_query(request.query, shape.query)
            if shape.body is not None:
                arguments["body"] = checked(await read_json(request), shape.body)
            answer = await handler(Exchange(request), **arguments)
            return json_response(answer.body, answer.status) if isinstance(answer, Answer) else answer

        return serve


def _path_value(text: str, wanted: type) -> object:
    if wanted is not UUID:
        return text
    try:
        return UUID(text)
    except ValueError:
        # What is no id names nothing.
        raise NotFound from None
