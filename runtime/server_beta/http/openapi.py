"""`GET /openapi.json`: the API described in OpenAPI 3.1, from the annotations that also validate requests."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from ..domain.principals import Scope
from ..version import VERSION
from .exchange import Answer, Exchange
from .fields import ExactlyOne
from .problems import PROBLEM_JSON, Problem
from .route import EVENT_STREAM, JSON, Entry, Route, Shape

Json = dict[str, Any]

DOCUMENT: web.AppKey[Callable[[], Json]] = web.AppKey("openapi")

_COMPONENTS = "#/components/schemas/"
# The router's own grammar of a path: a name, and perhaps the pattern that it must match, which may hold braces.
_PARAMETER = re.compile(r"\{(\w+)(?::([^{}]*(?:\{[^{}]*\}[^{}]*)*))?\}")
_REFUSALS = {
    400: "The request is not valid; `issues` lists what is wrong with it.",
    401: "There is no API key.",
    403: "The key is of no use here, or the Host or the Origin is foreign.",
    404: "There is nothing here that this key can see.",
    409: "The state of the object does not allow this.",
    413: "The request body is larger than 5 MiB.",
    429: "Too many requests.",
    500: "The server failed.",
    503: "The database does not answer at the moment.",
}
_ANY = {"description": "Any JSON value."}
_TEXT = {"schema": {"type": "string"}}
_SECONDS = {"schema": {"type": "integer", "minimum": 1}}
_HEADERS: Json = {
    "X-Request-Id": {"description": "The id of the request: the caller's own, or one made here.", **_TEXT},
    "Retry-After": {"description": "Seconds to wait before the next attempt.", **_SECONDS},
    "WWW-Authenticate": {"description": "How to send an API key.", **_TEXT},
}


async def document(exchange: Exchange) -> Answer[dict[str, object]]:
    """Describe the whole API in OpenAPI 3.1."""
    return Answer(exchange.request.app[DOCUMENT]())


def describe(routes: Sequence[Route]) -> Json:
    """Describe these routes; raises TypeError naming the one whose annotations do not tell enough."""
    shapes = [route.shape() for route in routes]
    wanted = dict.fromkeys(
        kind for shape in shapes for kind in (shape.query, shape.body, shape.answer, *shape.path.values()) if kind
    )
    schemas, components = _schemas([*wanted, Problem])
    paths: Json = {}
    for route, shape in zip(routes, shapes, strict=True):
        operation = _operation(route, shape, schemas, components)
        paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})[route.method.lower()] = operation
    # A query is described by its parameters, one by one.
    for shape in shapes:
        if shape.query is not None:
            components.pop(_name(schemas[shape.query]), None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "claude-mem server-beta", "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": {str(status): _refusal(status) for status in _REFUSALS},
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
        },
    }


def _schemas(kinds: Iterable[Any]) -> tuple[dict[Any, Json], Json]:
    listed = list(kinds)
    schemas, components = msgspec.json.schema_components(
        listed, schema_hook=lambda _: _ANY, ref_template=_COMPONENTS + "{name}"
    )
    for kind, schema in zip(listed, schemas, strict=True):
        if isinstance(kind, type) and issubclass(kind, ExactlyOne):
            components[_name(schema)]["oneOf"] = [_present(components, schema, name) for name in kind.wire_names()]
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            # What types cannot tell, a type that checks it in `__post_init__` tells in these words.
            components[_name(schema)].update(getattr(kind, "rules", {}))
    return dict(zip(listed, schemas, strict=True)), components


def _present(components: Json, schema: Json, member: str) -> Json:
    """Require a member, and that it is not null: a null one counts as absent."""
    described = components[_name(schema)]["properties"][member]
    solid = [one for one in described.get("anyOf", ()) if one.get("type") != "null"]
    return {"required": [member], "properties": {member: solid[0] if len(solid) == 1 else described}}


def _operation(route: Route, shape: Shape, schemas: dict[Any, Json], components: Json) -> Json:
    words = (inspect.getdoc(route.handler) or "").partition("\n")
    if not words[0]:
        raise TypeError(f"{route.method} {route.path}: its handler has no docstring")
    operation: Json = {
        "operationId": "_".join(
            [route.method.lower(), *re.findall(r"[A-Za-z0-9]+", _PARAMETER.sub(r"\1", route.path))]
        ),
        "tags": [route.handler.__module__.rpartition(".")[2]],
        "summary": words[0],
        "parameters": [*_path_parameters(route, shape, schemas), *_query_parameters(route, shape, schemas, components)],
        "responses": _responses(route, shape, schemas),
        "security": _security(route),
    }
    if words[2].strip():
        operation["description"] = words[2].strip()
    operation["parameters"] += [
        {"name": name, "in": "header", "description": told, **_TEXT} for name, told in route.headers.items()
    ]
    if shape.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas[shape.body]}}}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    """Return the ways in, of which any one is enough: a scheme with the scopes that its key needs."""
    match route.scope:
        case None:
            return []
        case Entry.ANY_KEY:
            return _by_key()
        case Entry.LOCAL_OR_ADMIN:
            return [{}, *_by_key(Scope.ADMIN)]
        case scope:
            return _by_key(scope)


def _by_key(*scopes: str) -> list[dict[str, list[str]]]:
    return [{"bearer": list(scopes)}, {"apiKey": list(scopes)}]


def _path_parameters(route: Route, shape: Shape, schemas: dict[Any, Json]) -> list[Json]:
    patterns = dict(_PARAMETER.findall(route.path))
    if patterns.keys() != shape.path.keys():
        raise TypeError(f"{route.method} {route.path}: its handler takes {sorted(shape.path)} from the path")
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {**schemas[shape.path[name]], **({"pattern": f"^{pattern}$"} if pattern else {})},
        }
        for name, pattern in patterns.items()
    ]


def _query_parameters(route: Route, shape: Shape, schemas: dict[Any, Json], components: Json) -> list[Json]:
    if shape.query is None:
        return []
    if not shape.query.__struct_config__.forbid_unknown_fields:
        raise TypeError(f"{route.method} {route.path}: {shape.query.__name__} lets unknown parameters pass")
    described = components[_name(schemas[shape.query])]
    parameters = []
    for name, schema in described["properties"].items():
        if schema.get("type") in {"array", "object"}:
            raise TypeError(f"{route.method} {route.path}: the parameter {name} is no single value")
        parameters.append({"name": name, "in": "query", "required": name in described["required"], "schema": schema})
    return parameters


def _responses(route: Route, shape: Shape, schemas: dict[Any, Json]) -> Json:
    good = {str(status): _good(route, status, shape, schemas) for status in route.statuses}
    refused = {str(status): {"$ref": f"#/components/responses/{status}"} for status in _refusals(route, shape)}
    return {**refused, **good}


def _good(route: Route, status: int, shape: Shape, schemas: dict[Any, Json]) -> Json:
    described: Json = {"description": HTTPStatus(status).phrase, "headers": _headers("X-Request-Id")}
    if shape.answer is None:
        if route.content_type == JSON:
            raise TypeError(f"{route.method} {route.path}: name the content type that its handler writes")
        # A schema of a stream would be that of each event, which differs with the event's name.
        described["content"] = {route.content_type: {} if route.content_type == EVENT_STREAM else _TEXT}
    elif shape.answer is not type(None):
        described["content"] = {JSON: {"schema": schemas[shape.answer]}}
    return described


def _refusals(route: Route, shape: Shape) -> list[int]:
    takes_input = shape.query is not None or shape.body is not None or bool(route.headers)
    # Only ids that the caller has named can be another's; a name in a path may be unknown.
    names_something = bool(shape.path) or (route.needs_key and takes_input)
    told = {
        400: takes_input,
        401: route.scope is not None,
        404: names_something,
        409: route.conflicts,
        413: shape.body is not None,
    }
    return [status for status in _REFUSALS if told.get(status, True)]


def _refusal(status: int) -> Json:
    more = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
    return {
        "description": _REFUSALS[status],
        "headers": _headers("X-Request-Id", *more.get(status, ())),
        "content": {PROBLEM_JSON: {"schema": {"$ref": _COMPONENTS + "Problem"}}},
    }


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _name(schema: Json) -> str:
    return str(schema["$ref"]).removeprefix(_COMPONENTS)
