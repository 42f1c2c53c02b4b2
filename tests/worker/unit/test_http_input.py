"""What comes in over HTTP: bodies, members, cursors, and from where."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from multidict import MultiDict

from worker.domain.errors import Forbidden, InvalidInput
from worker.http.body import decode
from worker.http.cursors import read_cursor, write_cursor
from worker.http.origins import OriginRule
from worker.http.requests import context_query, observations_query, search_body
from worker.http.validation import Members

_ID = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"


def test_a_body_is_plain_json() -> None:
    assert decode(b'{"a": [1, 2.5, null, true, "\xc3\xa9"]}') == {"a": [1, 2.5, None, True, "é"]}


@pytest.mark.parametrize(
    "body", [b'{"a\\u0000": "b\\ud83d"}', b'{"a\\u0000": "b\xed\xa0\xbd"}'], ids=["escaped", "as bytes"]
)
def test_what_no_text_holds_is_replaced(body: bytes) -> None:
    assert decode(body) == {"a\ufffd": "b\ufffd"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\xff",
        b"[" * 200 + b"]" * 200,
        b"[" * 100_000,
        b'"\x00"',
    ],
    ids=["nothing", "open", "word", "nan", "infinite", "endless", "latin-1", "deep", "very deep", "control character"],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(body)
    assert refused.value.issues


def test_every_issue_is_listed() -> None:
    with pytest.raises(InvalidInput) as refused:
        search_body({"query": 1, "limit": True, "kinds": "bugfix", "since": "yesterday", "projectId": 7})
    assert {issue.path for issue in refused.value.issues} == {"$.query", "$.limit", "$.kinds", "$.since", "$.projectId"}


def test_unknown_and_repeated_parameters_are_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        observations_query(MultiDict([("colour", "red"), ("limit", "1"), ("limit", "2")]))
    assert {(issue.path, issue.code) for issue in refused.value.issues} == {
        ("$.colour", "unknown"),
        ("$.limit", "repeated"),
    }


def test_a_context_is_asked_for_by_id_or_by_key() -> None:
    assert context_query(MultiDict({"project": "git:x/y"})) == (None, "git:x/y")
    for query in ({}, {"project": "git:x/y", "projectId": _ID}):
        with pytest.raises(InvalidInput):
            context_query(MultiDict(query))


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (1_700_000_000_123, datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)),
        ("2023-11-14T23:13:20.123+01:00", datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)),
    ],
)
def test_instants(value: object, instant: datetime) -> None:
    assert Members.of_body({"since": value}).instant("since") == instant


@pytest.mark.parametrize("value", ["2023-11-14T23:13:20", -1, 10**18, True, 1.5, "0001-01-01T00:00:00+23:00"])
def test_what_is_no_instant_is_refused(value: object) -> None:
    members = Members.of_body({"since": value})
    assert members.instant("since") is None
    with pytest.raises(InvalidInput):
        members.check()


def test_a_cursor_comes_back_as_it_was_written() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert read_cursor(write_cursor(at, 42)) == (at, 42)


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "é", "AAAA", write_cursor(datetime(2026, 1, 1, tzinfo=UTC), 1)[:-4], "f" * 200]
)
def test_a_cursor_that_was_not_given_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        read_cursor(cursor)


@pytest.mark.parametrize("host", ["127.0.0.1:37777", "localhost", "[::1]:37777", "127.0.0.9"])
def test_loopback_names_are_let_in(host: str) -> None:
    OriginRule.for_bind("127.0.0.1").check({"Host": host})


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.test",
        "127.0.0.1.example.test",
        "localhost.example.test",
        "1.2.3.4",
        "user@localhost",
        "[::1",
        "localhost:x",
    ],
)
def test_other_names_are_kept_out(host: str) -> None:
    with pytest.raises(Forbidden):
        OriginRule.for_bind("127.0.0.1").check({"Host": host})


@pytest.mark.parametrize("origin", ["http://example.test", "null", "http://127.0.0.1:1", "file://"])
def test_other_origins_are_kept_out(origin: str) -> None:
    with pytest.raises(Forbidden):
        OriginRule.for_bind("127.0.0.1").check({"Host": "127.0.0.1:37777", "Origin": origin})
