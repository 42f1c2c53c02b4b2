"""The description of the API is valid, whole, and made from what validates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import OpenAPIV31SpecValidator

from server_beta.http import projects
from server_beta.http.app import build_app
from server_beta.http.exchange import Answer, Exchange
from server_beta.http.openapi import describe
from server_beta.http.route import Entry, Route
from server_beta.http.routes import ROUTES
from tests.server_beta.api.samples import name_of
from tests.server_beta.unit.http_fakes import FakeServices, loopback_settings

DOCUMENT = describe(ROUTES)
LISTED = next(route for route in ROUTES if route.handler is projects.list_all)


def operation(route: Route) -> Any:
    path = name_of(route).partition(" ")[2]
    return DOCUMENT["paths"][path][route.method.lower()]


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_in_it_and_nothing_else() -> None:
    described = {f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {name_of(route) for route in ROUTES}
    assert len(described) == len(ROUTES)


def test_operation_ids_are_unique() -> None:
    ids = [operation(route)["operationId"] for route in ROUTES]
    assert len(set(ids)) == len(ids)


def test_it_is_the_same_each_time() -> None:
    assert json.dumps(describe(ROUTES)) == json.dumps(DOCUMENT)


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    named = set(references(DOCUMENT))
    for reference in named:
        node: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]
    schemas = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert {reference for reference in named if "/schemas/" in reference} == schemas


def ways_in(route: Route) -> list[dict[str, list[str]]]:
    if route.scope is None:
        return []
    named = {Entry.ANY_KEY: None, Entry.LOCAL_OR_ADMIN: "admin"}
    scope = named[route.scope] if isinstance(route.scope, Entry) else route.scope.value
    scopes = [scope] if scope else []
    with_a_key = [{"bearer": scopes}, {"apiKey": scopes}]
    return with_a_key if route.needs_key else [{}, *with_a_key]


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_an_operation_says_what_its_route_does(route: Route) -> None:
    described, shape = operation(route), route.shape()
    refused = {status for status in described["responses"] if "$ref" in described["responses"][status]}
    needed = {"429", "500"} | ({"401", "403", "503"} if route.scope else set())
    if shape.body is not None:
        needed |= {"400", "413"}
    if shape.query is not None:
        needed |= {"400"}
    if route.conflicts:
        needed |= {"409"}
    assert needed <= set(described["responses"])
    assert set(described["responses"]) - refused == {str(status) for status in route.statuses}
    assert described["summary"].endswith((".", ":"))
    assert described["security"] == ways_in(route)
    assert ("requestBody" in described) == (shape.body is not None)
    in_path = [one["name"] for one in described["parameters"] if one["in"] == "path"]
    assert in_path == re.findall(r"\{(\w+)\}", name_of(route))


@pytest.mark.parametrize("route", [route for route in ROUTES if route.shape().query is not None], ids=name_of)
def test_each_parameter_has_a_schema_of_its_own(route: Route) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(route.shape().query)}
    told = {one["name"]: one for one in operation(route)["parameters"] if one["in"] == "query"}
    assert told.keys() == fields.keys()
    assert {name: one["required"] for name, one in told.items()} == {
        name: field.required for name, field in fields.items()
    }
    assert all(one["schema"] for one in told.values())


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_what_a_type_checks_beyond_its_members_is_told(route: Route) -> None:
    shape = route.shape()
    for kind in (shape.query, shape.body):
        if isinstance(kind, type) and "__post_init__" in vars(kind):
            assert getattr(kind, "rules", None), f"{kind.__name__} checks what its schema does not tell: give it rules"


def test_a_streams_content_type_is_told() -> None:
    types = {
        kind
        for route in ROUTES
        for status in route.statuses
        for kind in operation(route)["responses"][str(status)].get("content", {})
    }
    assert {"application/json", "text/event-stream"} <= types


async def undescribed(_exchange: Exchange) -> Answer[dict[str, object]]:
    raise NotImplementedError


class Loose(msgspec.Struct):
    """Lets a filter with a typing mistake pass."""

    limit: int = 1


async def loose(_exchange: Exchange, query: Loose) -> Answer[dict[str, object]]:
    """List."""
    raise NotImplementedError


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (replace(LISTED, handler=undescribed), "no docstring"),
        (replace(LISTED, path="/v1/projects/{other}"), "takes .* from the path"),
        (replace(LISTED, handler=loose), "lets unknown parameters pass"),
    ],
)
def test_a_route_that_does_not_tell_enough_is_named(route: Route, said: str) -> None:
    with pytest.raises(TypeError, match=f"GET {re.escape(route.path)}.*{said}"):
        describe([route])


async def test_it_is_served_to_everybody(tmp_path: Path) -> None:
    app = build_app(FakeServices().services(), loopback_settings(tmp_path))
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/openapi.json")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert await answer.json() == json.loads(json.dumps(DOCUMENT))
