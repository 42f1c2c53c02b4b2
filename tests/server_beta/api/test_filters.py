"""A filter that cannot be meant is refused by every route that takes one, and never ignored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any, Literal, get_origin
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
import pytest

from server_beta.http.fields import ObservationName
from server_beta.http.route import Route
from server_beta.http.routes import ROUTES
from tests.server_beta.api.client import Answer, Client
from tests.server_beta.api.conftest import Api
from tests.server_beta.api.samples import members, metas, name_of, request
from tests.server_beta.api.world import Home

FILTERED = [route for route in ROUTES if route.shape().query is not None]
PAGED = [route for route in FILTERED if "cursor" in route.shape().query.__struct_encode_fields__]
_WRONG: dict[Any, tuple[str, ...]] = {
    UUID: ("x", "null", "0", "00000000-0000-0000-0000-00000000000g"),
    int: ("x", "null", "1.5", "true", "0x1", " 1", "+1", "1e2", "9" * 5000),
    float: ("x", "null", "nan", "inf"),
    bool: ("x", "null", "2", "TRUE", "yes"),
    datetime: ("yesterday", "null", "0.5", "2026-01-02T03:04:05", "9999-12-31T23:59:59-23:59", "1" * 30),
    ObservationName: ("x", "zzzzzzzz", "00000000-0000"),
}


@pytest.fixture(scope="module")
def home(api: Api) -> Home:
    return api.team("filters")[0]


@pytest.fixture(scope="module")
def client(api: Api, home: Home) -> Iterator[Client]:
    with api.client(home.keys["admin"]) as client:
        yield client


def asked_with(client: Client, home: Home, route: Route, pairs: list[tuple[str, str]]) -> Answer:
    """Ask a good request with these parameters in it, in place of its own of the same names."""
    good = request(route, home.ids)
    named = {name for name, _ in pairs}
    kept = [(name, value) for name, value in good.query.items() if name not in named]
    path = good.target.partition("?")[0]
    return client.ask(
        route.method, f"{path}?{urlencode(kept + pairs)}", None if good.body is None else _json(good.body)
    )


def _json(body: object) -> bytes:
    return msgspec.json.encode(body)


def wrong_texts(kind: Any) -> Iterator[str]:
    """Yield texts that the type of a filter rules out."""
    yield ""
    kinds = members(kind)
    texts = [set(_WRONG.get(one, ("no such word",))) for one in kinds if one is not str]
    if len(texts) == len(kinds):
        yield from sorted(set.intersection(*texts))
    assert all(one in _WRONG or one is str or get_origin(one) is Literal or issubclass(one, Enum) for one in kinds), (
        f"{kind} is a kind of filter that this test does not know how to get wrong"
    )
    for meta in metas(kind):
        if meta.ge is not None:
            yield str(meta.ge - 1)
        if meta.le is not None:
            yield str(meta.le + 1)
        if meta.max_length is not None:
            yield "0" * (meta.max_length + 1)


def test_every_route_that_reads_for_a_key_checks_its_filters() -> None:
    assert [name_of(one) for one in ROUTES if one.method == "GET" and one.needs_key and one not in FILTERED] == []


@pytest.mark.parametrize("route", FILTERED, ids=name_of)
def test_an_unknown_filter_is_refused(client: Client, home: Home, route: Route) -> None:
    for name in ("unknown", "Limit", "", "projectid", "limit\x00", "$where"):
        asked_with(client, home, route, [(name, "1")]).assert_problem(400)


@pytest.mark.parametrize("route", FILTERED, ids=name_of)
def test_a_filter_given_twice_is_refused(client: Client, home: Home, route: Route) -> None:
    good = request(route, home.ids, whole=True).query
    for name, value in good.items():
        asked_with(client, home, route, [(name, value), (name, value)]).assert_problem(400)


@pytest.mark.parametrize("route", FILTERED, ids=name_of)
def test_a_wrong_value_is_refused_and_named(client: Client, home: Home, route: Route) -> None:
    for field in msgspec.structs.fields(route.shape().query):
        for text in wrong_texts(field.type):
            answer = asked_with(client, home, route, [(field.encode_name, text)])
            answer.assert_problem(400)
            assert f"$.{field.encode_name}" in {issue["path"] for issue in answer.json["issues"]}, (text, answer)


@pytest.mark.parametrize("route", FILTERED, ids=name_of)
@pytest.mark.parametrize("text", ["a%00b", "%ED%A0%80", "%FF%FE", "%", "%2", "a+b%0d%0aX-Evil:1", "%F0%9F%98%80"])
def test_odd_text_is_stored_nowhere_and_breaks_nothing(client: Client, home: Home, route: Route, text: str) -> None:
    path, _, query = request(route, home.ids).target.partition("?")
    for field in msgspec.structs.fields(route.shape().query):
        answer = client.ask(
            route.method, f"{path}?{query}&{field.encode_name}={text}", b"{}" if route.shape().body else None
        )
        assert answer.status < 500, (field.encode_name, answer)
        assert "x-evil" not in answer.headers
        if answer.status >= 400:
            answer.assert_problem(400, 404)


@pytest.mark.parametrize("route", PAGED, ids=name_of)
def test_a_cursor_is_of_its_own_list_alone(client: Client, home: Home, route: Route) -> None:
    cursors = {name_of(other): first_cursor(client, home, other) for other in PAGED}
    own = cursors.pop(name_of(route))
    assert own is not None
    assert asked_with(client, home, route, [("cursor", own)]).status == 200
    # Lists of the same things go on behind each other's pages.
    things = things_of(client, home, route)
    for other, cursor in cursors.items():
        same = things == things_of(client, home, next(one for one in PAGED if name_of(one) == other))
        answer = asked_with(client, home, route, [("cursor", str(cursor))])
        assert answer.status == (200 if same else 400), (other, answer)
    for garbage in (own[:-1], own + "A", own[::-1], "A" * len(own), "x", "=", "../../etc/passwd", "' OR 1=1 --"):
        answer = asked_with(client, home, route, [("cursor", garbage)])
        answer.assert_problem(400)


def first_cursor(client: Client, home: Home, route: Route) -> str | None:
    answer = asked_with(client, home, route, [("limit", "1")])
    assert answer.status == 200, answer
    cursor: str | None = answer.json["nextCursor"]
    assert cursor, f"{name_of(route)} needs two rows of its kind in world.py"
    return cursor


def things_of(client: Client, home: Home, route: Route) -> str:
    answer: dict[str, object] = asked_with(client, home, route, []).json
    return next(name for name, value in answer.items() if isinstance(value, list))


@pytest.mark.parametrize(
    "path", ["/v1/events/%00", "/v1/sessions/%ED%A0%80", "/v1/jobs/%FF", "/v1/%00", "/%2e%2e/%2e%2e/etc/passwd", "//"]
)
def test_an_odd_path_names_nothing(client: Client, path: str) -> None:
    client.ask("GET", path).assert_problem(404)


@pytest.mark.parametrize("value", ["a\x00b", "\udcff", "x" * 5000, "\u00e9", quote("\ud800", errors="surrogatepass")])
@pytest.mark.parametrize("name", ["X-Request-Id", "X-Claude-Mem-Project", "Last-Event-ID", "Accept", "Forwarded"])
def test_an_odd_header_breaks_nothing(client: Client, home: Home, name: str, value: str) -> None:
    raw = value.encode("utf-8", "surrogateescape").decode("latin-1")
    for route in (route for route in ROUTES if route.path.startswith(("/v1/hooks", "/v1/stream", "/healthz"))):
        good = request(route, home.ids)
        answer = client.ask(route.method, good.target, None if good.body is None else _json(good.body), {name: raw})
        assert answer.status < 500, answer
