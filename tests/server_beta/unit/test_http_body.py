"""The body decoder: what it accepts, what it mends, what it refuses; never anything but InvalidInput."""

from __future__ import annotations

import json

import msgspec
import pytest

from server_beta.domain.errors import InvalidInput
from server_beta.http.body import MAX_DEPTH, decode


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":1,"a":2}', {"a": 2}),
        (rb'"a\u0000b"', "a\ufffdb"),
        (rb'"a\ud800b"', "a\ufffdb"),
        (rb'"\udc00"', "\ufffd"),
        (rb'{"\ud800\u0000":[{"x":"\udfff"}]}', {"\ufffd\ufffd": [{"x": "\ufffd"}]}),
        (b'"a\xed\xa0\x80b"', "a\ufffdb"),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        ('"\U0001f600 é"'.encode(), "\U0001f600 é"),
        (rb'"\\u0000"', "\\u0000"),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (rb'["\ud800",1e5,-3,123456789012345678901234567890]', ["\ufffd", 1e5, -3, 123456789012345678901234567890]),
        (b"null", None),
    ],
)
def test_accepts_what_agents_send(body: bytes, value: object) -> None:
    assert decode(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} x",
        b'{"a":}',
        b'"a\x00b"',
        b'"\xff"',
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"[Infinity]",
        b'{"a":-Infinity}',
        b"1e999",
        rb'["\ud800",NaN]',
        rb'["\ud800",1e999]',
        b"1" * 5000,
        rb'["\ud800",' + b"1" * 5000 + b"]",
        nested(MAX_DEPTH + 1),
        nested(900),
        nested(100_000),
        b'{"a":' * 100_000,
        rb'["\ud800",' + nested(900) + b"]",
        rb'["\ud800",' + nested(100_000) + b"]",
    ],
)
def test_refuses_with_one_issue(body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(body)
    assert [issue.code for issue in refused.value.issues] == ["invalid_json"]
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("body", [nested(MAX_DEPTH), b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH])
def test_what_is_accepted_can_be_encoded_again(body: bytes) -> None:
    value = decode(body)
    assert json.loads(json.dumps(value)) == value
    assert msgspec.json.decode(msgspec.json.encode(value)) == value


def test_many_shallow_containers_are_not_deep() -> None:
    assert decode(b"[" + b"[],{}," * 1000 + b"1]") == [*[[], {}] * 1000, 1]
