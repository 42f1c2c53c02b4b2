"""Whatever is sent as a body: refused in words for people, or stored whole; never a fault, and nothing half written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec
import pytest

from server_beta.domain.errors import InvalidInput
from server_beta.http.body import MAX_BODY_BYTES, MAX_DEPTH, decode
from server_beta.http.fields import ObservationName
from server_beta.http.route import Route
from server_beta.http.routes import ROUTES
from tests.server_beta.api.client import Client
from tests.server_beta.api.conftest import Api
from tests.server_beta.api.samples import TEXTS, members, metas, name_of, places, replaced, request
from tests.server_beta.api.world import Home

WRITES = [route for route in ROUTES if route.shape().body is not None]
_DEEP = 10_000
MALFORMED = {
    "empty": b"",
    "blank": b" \n",
    "truncated": b'{"projectId": "0000',
    "not JSON": b"projectId=1&kind=x",
    "two values": b"{} {}",
    "trailing comma": b'{"a": 1,}',
    "comment": b'{"a": 1 /* one */}',
    "single quotes": b"{'a': 1}",
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "too large a number": b'{"a": 1e400}',
    "too long a number": b'{"a": 1' + b"0" * 5000 + b"}",
    "raw NUL": b'{"a": "\x00"}',
    "raw line break": b'{"a": "\n"}',
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "overlong UTF-8": b'{"a": "\xc0\x80"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep objects": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    "deep lists": b"[" * _DEEP + b"]" * _DEEP,
    "deep and open": b"[" * _DEEP,
    "deep in a member": b'{"payload":' + b"[" * 200 + b"]" * 200 + b"}",
    "text": b'"text"',
    "number": b"7",
    "null": b"null",
    "true": b"true",
    "nothing in a list": b"[null]",
    "lists in a list": b"[[[]]]",
    "a hundred thousand issues": b"[" + b",".join([b"{}"] * 100_000) + b"]",
    "gzip without saying so": gzip.compress(b"{}"),
}


@pytest.fixture(scope="module")
def home(api: Api) -> Home:
    return api.team("bodies")[0]


@pytest.fixture(scope="module")
def client(api: Api, home: Home) -> Iterator[Client]:
    with api.client(home.keys["admin"]) as client:
        yield client


@pytest.fixture
def unchanged(api: Api) -> Iterator[None]:
    """See that nothing of what the test sends is written."""
    before = api.rows()
    yield
    assert api.rows() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_a_malformed_body_is_refused(client: Client, home: Home, route: Route) -> None:
    target = request(route, home.ids).target
    for name, body in MALFORMED.items():
        answer = client.ask(route.method, target, body)
        answer.assert_problem(400)
        assert answer.json["issues"], name
        assert len(answer.body) < 50_000, name


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_a_wrong_shape_is_refused(client: Client, home: Home, route: Route) -> None:
    good = request(route, home.ids)
    bodies: list[object] = [[], [[]], [{}] * 501, {"": None}, {}]
    for body in bodies:
        # A hook's input may have any members; what they must be is another test's matter.
        if type(body) is not type(good.body) or not body:
            client.send(route.method, good.target, body).assert_problem(400)


def nested(levels: int) -> object:
    value: object = "deep"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def with_free_members(route: Route, home: Home, value: object) -> Iterator[object]:
    """Yield good bodies with this value in each place where anything may be."""
    shape, good = route.shape(), request(route, home.ids)
    if dict in {get_origin(shape.body), shape.body}:
        yield {**good.body, "tool_input": value}
    for at, _, kind in places(shape.body):
        free = {one for one in members(kind) if one is object or get_origin(one) is dict}
        if free:
            yield replaced(good.body, at, value if object in free else {"in": value})


def test_a_body_is_as_deep_as_it_may_be(api: Api) -> None:
    tried = 0
    for route in WRITES:
        (home,) = api.team("deep")
        before = api.rows()
        with api.client(home.keys["admin"]) as client:
            for body in with_free_members(route, home, nested(MAX_DEPTH)):
                answer = client.send(route.method, request(route, home.ids).target, body)
                answer.assert_problem(400)
                assert "nested deeper" in answer.json["message"]
            assert api.rows() == before
            for body in with_free_members(route, home, nested(MAX_DEPTH - 4)):
                answer = client.send(route.method, request(route, home.ids).target, body)
                assert answer.status in route.statuses, answer
                tried += 1
    assert tried > 8


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_six_megabytes_are_refused(client: Client, home: Home, route: Route) -> None:
    target, chunk = request(route, home.ids).target, b" " * (1 << 20)
    client.ask(route.method, target, chunk * 6).assert_problem(413)
    client.ask(route.method, target, iter([chunk] * 6)).assert_problem(413)
    bomb = gzip.compress(b" " * (MAX_BODY_BYTES * 8))
    client.ask(route.method, target, bomb, {"Content-Encoding": "gzip"}).assert_problem(413)


PLAIN: list[dict[str, str]] = [
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/json; charset=utf-8"},
    {"Content-Type": "*/*"},
    {"Content-Type": ""},
]


@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_a_body_is_json_whatever_it_is_called(api: Api, route: Route) -> None:
    for headers in (*PLAIN, {"Content-Encoding": "gzip"}):
        (home,) = api.team("called")
        good = request(route, home.ids)
        body = json.dumps(good.body).encode()
        with api.client(home.keys["admin"]) as client:
            packed = gzip.compress(body) if "Content-Encoding" in headers else body
            answer = client.ask(route.method, good.target, packed, headers)
        assert answer.status in route.statuses, (headers, answer)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_what_cannot_be_unpacked_is_refused(api: Api, home: Home, route: Route) -> None:
    good = request(route, home.ids)
    for encoding in ("gzip", "deflate", "br", "zstd", "nonsense", "gzip, gzip"):
        # The server hangs up after some of these: where the next request would begin is not known.
        with api.client(home.keys["admin"]) as client:
            answer = client.ask(route.method, good.target, b"\x00\x01rubbish", {"Content-Encoding": encoding})
        answer.assert_problem(400, 415)


def wrong_values(kind: Any) -> Iterator[object]:
    """Yield values that the type of a member rules out; null where it may not be absent."""
    kinds = members(kind)
    if object in kinds:
        return
    if type(None) not in get_args(kind):
        yield None
    values: list[object] = [True, 3.25, -7, "no such", ["x", 3], {"x": []}]
    yield from (value for value in values if not any(_fits(value, one) for one in kinds))
    if int in kinds:
        yield from (10**30, -(10**30), 1e300)


def _fits(value: object, kind: Any) -> bool:
    origin = get_origin(kind) or kind
    match value:
        case bool():
            return origin is bool
        case str():
            return origin is str and kind is not ObservationName
        case float() | int():
            # Every number of a request is bounded from below.
            return origin is float
        case list():
            return False
        case _:
            return origin is dict


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_a_member_of_a_wrong_type_is_refused_and_named(client: Client, home: Home, route: Route) -> None:
    good = request(route, home.ids, whole=True)
    for at, _, kind in places(route.shape().body):
        for value in wrong_values(kind):
            body = replaced(good.body, at, value)
            if body is None:
                continue
            answer = client.send(route.method, good.target, body)
            answer.assert_problem(400)
            path = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in at)
            assert any(issue["path"].startswith(path) for issue in answer.json["issues"]), (path, value, answer)


@pytest.mark.parametrize("route", WRITES, ids=name_of)
@pytest.mark.parametrize("text", [r"a\u0000b", r"a\ud800b", r"\udfff\ud800", "a\ud800b", r"a\u202e\u0007\u001b[31mb"])
def test_text_that_no_store_holds_is_mended(api: Api, home: Home, route: Route, text: str) -> None:
    good = request(route, home.ids, whole=True)
    with api.client(home.keys["admin"]) as client:
        for at, name, kind in places(route.shape().body):
            if (body := replaced(good.body, at, "@odd@")) is None:
                continue
            odd = text.encode("utf-8", "surrogatepass")
            answer = client.ask(route.method, good.target, json.dumps(body).encode().replace(b"@odd@", odd))
            assert answer.status < 500, (at, answer)
            # A whole body leaves out what its rules forbid beside the rest.
            if _is_free_text(kind, name) and (isinstance(good.body, list) or at[0] in good.body):
                assert answer.status in route.statuses, (at, answer)
            elif answer.status >= 400:
                answer.assert_problem(400, 404, 409)


def _is_free_text(kind: Any, name: str) -> bool:
    is_patterned = any(meta.pattern for meta in metas(kind))
    return members(kind) == (str,) and not is_patterned and name not in TEXTS


@pytest.mark.parametrize(
    ("sent", "kept"), [(r"a\u0000b", "a\ufffdb"), (r"a-\ud800b", "a-\ufffdb"), ("ab\ud800", "ab\ufffd")]
)
def test_mended_text_is_stored_and_comes_back(api: Api, home: Home, sent: str, kept: str) -> None:
    body = {"projectId": str(home.ids["project"]), "sourceType": "api", "eventType": "@odd@"}
    deep = {"payload": {"@odd@": ["@odd@"]}, "metadata": {"note": {"@odd@": "@odd@"}}}
    odd = sent.encode("utf-8", "surrogatepass")
    with api.client(home.keys["team"]) as client:
        text = json.dumps({**body, **deep, "occurredAtEpoch": len(sent)}).encode().replace(b"@odd@", odd)
        answer = client.ask("POST", "/v1/events?generate=false", text)
        assert answer.status == 201, answer
        told = answer.json["event"]
        read = client.ask("GET", f"/v1/events/{told['id']}").json["event"]
    assert read["eventType"].startswith(kept)
    for event in (told, read):
        word = event["eventType"]
        assert (event["payload"], event["metadata"]) == ({word: [word]}, {"note": {word: word}})


@pytest.mark.parametrize("route", WRITES, ids=name_of)
def test_odd_but_good_json_is_taken(api: Api, route: Route) -> None:
    (home,) = api.team("odd")
    good = request(route, home.ids)
    text = json.dumps(good.body)
    more = '"x-odd": [-0, 1e308, 5e-324, 18446744073709551616, -1.5, "\\u0000\\ud800", {"a": 1, "a": 2}, null]'
    with api.client(home.keys["admin"]) as client:
        answer = client.ask(route.method, good.target, f"\t{text}\r\n ".encode())
        assert answer.status in route.statuses, answer
        if not text.startswith("{"):
            return
        answer = client.ask(route.method, good.target, f"{text[:-1]}, {more}}}".encode())
        # Types that know all their members say so; the others ignore what they do not know, or store it.
        assert answer.status in {*route.statuses, 400, 409}, answer
        if answer.status == 400:
            answer.assert_problem(400)
            assert answer.json["issues"][0]["path"] == "$.x-odd"


# Postgres keeps the digits and forgets the notation: 1e308 comes back as a 1 with 308 zeros.
NUMBERS = ["-0", "1e308", "-1e308", "5e-324", "18446744073709551616", "9" * 400, "0.1", "1E+2"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_of_a_payload_comes_back_as_it_was(api: Api, home: Home, number: str) -> None:
    body = {"projectId": str(home.ids["project"]), "sourceType": "api", "eventType": "n", "occurredAtEpoch": 1}
    with api.client(home.keys["team"]) as client:
        sent = f'{json.dumps(body)[:-1]}, "payload": {{"n": {number}}}}}'
        answer = client.ask("POST", "/v1/events?generate=false", sent.encode())
        assert answer.status == 201, answer
        read = client.ask("GET", f"/v1/events/{answer.json['event']['id']}")
    assert answer.json["event"]["payload"]["n"] == json.loads(number)
    assert Decimal(str(read.json["event"]["payload"]["n"])) == Decimal(number)


@pytest.mark.parametrize("odd", ["", ', "c": "\\ud800"'])
def test_of_a_member_given_twice_the_last_counts_in_both_decoders(odd: str) -> None:
    text = f'{{"a": 1, "b": {{"x": 1, "x": 2}}, "a": 2{odd}}}'
    value = decode(text.encode())
    assert isinstance(value, dict)
    assert (value["a"], value["b"]) == (2, {"x": 2})


def test_the_scope_of_a_member_given_twice_is_that_of_the_last(api: Api, home: Home) -> None:
    (stranger,) = api.team("stranger")
    body = {"projectId": str(home.ids["project"]), "sourceType": "api", "eventType": "n", "occurredAtEpoch": 1}
    twice = f'{json.dumps(body)[:-1]}, "projectId": "{stranger.ids["project"]}"}}'
    with api.client(home.keys["team"]) as client:
        client.ask("POST", "/v1/events", twice.encode()).assert_problem(404)


@pytest.mark.parametrize(
    "body", [b'{"a":1e400}', b'{"a":1e400,"b":"\\ud800"}', b"[" * 200, b'["\\ud800"' + b",[" * 200]
)
def test_both_decoders_refuse_the_same(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(body)


def test_a_wrong_value_is_known_for_every_type() -> None:
    kinds = {one for route in WRITES for _, _, kind in places(route.shape().body) for one in members(kind)}
    known = {str, int, float, bool, object, UUID, datetime, ObservationName}
    unknown = {
        kind
        for kind in kinds - known
        if get_origin(kind) not in {list, dict, Literal}
        and not (isinstance(kind, type) and issubclass(kind, msgspec.Struct | Enum))
    }
    assert unknown == set()
