"""What every exchange passes: request id, headers, Host and Origin, keys, errors, the access log."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from server_beta.domain.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    Issue,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from server_beta.domain.principals import Scope
from server_beta.http.app import build_app
from server_beta.http.route import Entry, Route
from server_beta.http.routes import ROUTES
from tests.server_beta.unit.http_fakes import KEY, READER_KEY, FakeServices, loopback_settings
from tests.support.paths import NOBODYS, concrete_path

AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
OPEN = ("/healthz", "/readyz", "/api/readiness", "/api/health", "/api/version", "/v1/info", "/openapi.json")

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def fake() -> FakeServices:
    return FakeServices()


@pytest.fixture
async def client(fake: FakeServices, tmp_path: Path) -> AsyncIterator[Client]:
    async with TestClient(TestServer(build_app(fake.services(), loopback_settings(tmp_path)))) as client:
        yield client


class _Subclassed(Unavailable):
    """A dependency's own trouble."""


@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (InvalidInput("bad", (Issue("$.a", "wrong", "word"),)), 400, "ValidationError"),
        (Unauthorized(), 401, "Unauthorized"),
        (Forbidden(), 403, "Forbidden"),
        (NotFound(), 404, "NotFound"),
        (Conflict(), 409, "Conflict"),
        (PayloadTooLarge(), 413, "PayloadTooLarge"),
        (TooManyRequests(retry_after_seconds=7), 429, "TooManyRequests"),
        (Unavailable(), 503, "Unavailable"),
        (_Subclassed(), 503, "Unavailable"),
    ],
)
async def test_an_error_is_a_problem(
    client: Client, fake: FakeServices, failure: Exception, status: int, error: str
) -> None:
    fake.failure = failure
    response = await client.get("/v1/projects", headers=AUTHORIZED)
    problem = json.loads(await response.read())
    assert response.status == problem["status"] == status
    assert response.content_type == "application/problem+json"
    assert problem["error"] == error
    assert problem["detail"] == problem["message"] == str(failure)
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem.get("issues") == ([{"path": "$.a", "message": "wrong", "code": "word"}] if status == 400 else None)
    assert response.headers.get("Retry-After") == {429: "7", 503: "2"}.get(status)
    assert response.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)


@pytest.mark.parametrize(
    "failure", [ValueError("secret text"), TimeoutError("secret text"), ConnectionError("secret text")]
)
async def test_an_unexpected_error_keeps_its_text_inside(
    client: Client, fake: FakeServices, failure: Exception
) -> None:
    failure.__cause__ = KeyError("secret cause")
    fake.failure = failure
    with structlog.testing.capture_logs() as logs:
        response = await client.get("/v1/projects", headers={**AUTHORIZED, "X-Request-Id": "here-1"})
    body = await response.text()
    assert response.status == 500
    assert json.loads(body)["error"] == "InternalError"
    assert "secret" not in body + json.dumps(logs)
    (fault,) = [line for line in logs if line["action"] == "http_request_failed"]
    assert fault["request_id"] == "here-1"
    assert fault["trace"][0] == type(failure).__name__
    assert "KeyError" in fault["trace"]
    assert any("http_fakes.py" in place for place in fault["trace"])


@pytest.mark.parametrize(
    "path", ["/", "/v1/nothing", "/v1/events/1/2", "/v1/hooks/claude-code/%00", "/%ff", "/v1/jobs/"]
)
async def test_an_unknown_path_is_not_found(client: Client, path: str) -> None:
    response = await client.get(path, headers=AUTHORIZED)
    assert response.status == 404
    assert json.loads(await response.read())["error"] == "NotFound"


async def test_an_unknown_method_says_which_are_known(client: Client) -> None:
    response = await client.delete("/v1/projects", headers=AUTHORIZED)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, POST"
    assert json.loads(await response.read())["error"] == "MethodNotAllowed"


@pytest.mark.parametrize("path", OPEN)
async def test_open_routes_need_no_key(client: Client, fake: FakeServices, path: str) -> None:
    response = await client.get(path)
    assert response.status == 200
    assert fake.authenticated == []


def test_no_other_route_is_open() -> None:
    # The metrics are for this machine, and for keys that may.
    assert {route.path for route in ROUTES if not route.needs_key} == {*OPEN, "/metrics"}


@pytest.mark.parametrize("route", [route for route in ROUTES if route.needs_key], ids=lambda route: route.path)
async def test_every_other_route_needs_a_key_that_may(client: Client, fake: FakeServices, route: Any) -> None:
    path = concrete_path(route)
    without = await client.request(route.method, path, data=b"never read")
    unknown = await client.request(route.method, path, headers={"X-Api-Key": "cmem_other"}, data=b"never read")
    assert (without.status, unknown.status) == (401, 403)
    if route.scope not in {Scope.OBSERVATIONS_READ, Entry.ANY_KEY}:
        lacking = await client.request(route.method, path, headers={"X-Api-Key": READER_KEY}, data=b"never read")
        assert lacking.status == 403
        assert json.loads(await lacking.read())["message"] == json.loads(await unknown.read())["message"]
    assert fake.asked == []


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"Authorization": f"Bearer {KEY}"}, KEY),
        ({"Authorization": f"bEARER   {KEY} "}, KEY),
        ({"X-Api-Key": KEY}, KEY),
        ({"Authorization": "Bearer ", "X-Api-Key": KEY}, KEY),
        ({"Authorization": "Basic abc"}, None),
        ({"Authorization": "Bearer"}, None),
        ({"X-Api-Key": " "}, None),
        ({}, None),
    ],
)
async def test_where_the_key_is_found(
    client: Client, fake: FakeServices, headers: dict[str, str], key: str | None
) -> None:
    response = await client.get("/v1/projects", headers=headers)
    assert response.status == (200 if key else 401)
    assert fake.authenticated[0]["key"] == key


async def test_a_key_of_other_bytes_is_refused(client: Client, fake: FakeServices) -> None:
    response = await client.get("/v1/projects", headers={"X-Api-Key": "caf\u00e9"})
    assert response.status == 403
    assert fake.authenticated == []


@pytest.mark.parametrize("name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"])
async def test_a_proxied_request_is_told_from_a_local_one(client: Client, fake: FakeServices, name: str) -> None:
    await client.get("/v1/projects", headers=AUTHORIZED)
    await client.get("/v1/projects", headers={**AUTHORIZED, name: "x"})
    assert [(seen["remote_is_loopback"], seen["proxied"]) for seen in fake.authenticated] == [
        (True, False),
        (True, True),
    ]


@pytest.mark.parametrize("given", ["a", "A-b_9", "0" * 64])
async def test_a_request_id_is_honoured(client: Client, given: str) -> None:
    response = await client.get("/healthz", headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "-a", "a b", "0" * 65, "a:b", "caf\u00e9"])
async def test_another_request_id_is_replaced(client: Client, given: str) -> None:
    response = await client.get("/v1/nothing", headers={"X-Request-Id": given})
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["X-Request-Id"])


def assert_guarded(response: ClientResponse) -> None:
    headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "claude-mem"
    assert headers["X-Request-Id"]


@pytest.mark.parametrize("key", [KEY, "cmem_other"], ids=["good", "bad"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_route_s_answer_carries_the_security_headers(client: Client, route: Route, key: str) -> None:
    async with client.request(route.method, concrete_path(route), headers={"X-Api-Key": key}) as response:
        assert_guarded(response)


@pytest.mark.parametrize(
    ("method", "path", "failure", "status"),
    [
        ("GET", "/v1/nothing", None, 404),
        ("PUT", "/v1/projects", None, 405),
        ("POST", "/v1/projects", None, 413),
        ("GET", "/v1/projects", Unavailable(), 503),
        ("GET", "/v1/projects", RuntimeError(), 500),
    ],
)
async def test_every_refusal_carries_the_security_headers(
    client: Client, fake: FakeServices, method: str, path: str, failure: Exception | None, status: int
) -> None:
    fake.failure = failure
    data = io.BytesIO(b" " * 6_000_000) if status == 413 else None
    async with client.request(method, path, headers=AUTHORIZED, data=data) as response:
        assert response.status == status
        assert_guarded(response)


@pytest.fixture
async def limited(fake: FakeServices, tmp_path: Path) -> AsyncIterator[Client]:
    settings = replace(loopback_settings(tmp_path), rate_limit_per_min=3)
    async with TestClient(TestServer(build_app(fake.services(), settings))) as client:
        yield client


async def statuses(client: Client, path: str, headers: dict[str, str] | None = None) -> list[int]:
    return [(await client.get(path, headers=headers)).status for _ in range(5)]


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(limited: Client, fake: FakeServices) -> None:
    assert await statuses(limited, "/v1/projects", AUTHORIZED) == [200, 200, 200, 429, 429]
    assert len(fake.authenticated) == 3
    refused = await limited.get("/v1/projects", headers=AUTHORIZED)
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert refused.content_type == "application/problem+json"
    assert json.loads(await refused.read())["error"] == "TooManyRequests"
    assert_guarded(refused)
    assert (await limited.get("/v1/projects", headers={"X-Api-Key": READER_KEY})).status == 200


async def test_a_key_that_may_not_is_counted_as_its_own(limited: Client) -> None:
    asked = [(await limited.post("/v1/projects", headers={"X-Api-Key": READER_KEY})).status for _ in range(4)]
    assert asked == [403, 403, 403, 429]
    assert (await limited.get("/v1/info")).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"X-Api-Key": "cmem_guess"}, 403), ({"X-Api-Key": "caf\u00e9"}, 403)],
)
async def test_strangers_are_refused_before_anything_is_looked_up(
    limited: Client, fake: FakeServices, headers: dict[str, str], status: int
) -> None:
    assert await statuses(limited, "/v1/projects", headers) == [status] * 3 + [429] * 2
    assert len(fake.authenticated) <= 3
    assert (await limited.get("/v1/info")).status == 429


async def test_who_probes_is_never_refused(limited: Client) -> None:
    assert await statuses(limited, "/v1/info") == [200] * 3 + [429] * 2
    for path in ("/healthz", "/readyz", "/api/readiness"):
        assert await statuses(limited, path) == [200] * 5


async def test_public_names_are_let_in(fake: FakeServices, tmp_path: Path) -> None:
    settings = replace(loopback_settings(tmp_path), public_hosts=("mem.example",))
    async with TestClient(TestServer(build_app(fake.services(), settings))) as client:
        for host, status in (("mem.example", 200), ("evil.example", 403)):
            assert (await client.get("/healthz", headers={"Host": host})).status == status


@pytest.mark.parametrize("path", ["/healthz", "/v1/projects", "/v1/nothing"])
async def test_a_rebound_name_reaches_nothing(client: Client, fake: FakeServices, path: str) -> None:
    response = await client.get(path, headers={**AUTHORIZED, "Host": "evil.example"})
    assert response.status == 403
    assert fake.authenticated == fake.asked == []


async def test_one_line_an_exchange_without_query_or_payload(client: Client) -> None:
    with structlog.testing.capture_logs() as logs:
        await client.get(
            f"/v1/jobs/{NOBODYS}?canary=1", headers={**AUTHORIZED, "X-Request-Id": "r1", "X-Canary": "canary"}
        )
        await client.get("/v1/canary", headers=AUTHORIZED)
    first, second = logs
    assert "canary" not in json.dumps(logs)
    assert first.pop("duration_ms") >= 0
    assert first == {
        "event": "answered a request",
        "action": "http_request",
        "method": "GET",
        "route": "/v1/jobs/{id}",
        "status": 400,
        "request_id": "r1",
        "log_level": "info",
    }
    assert second["route"] == "unmatched"
