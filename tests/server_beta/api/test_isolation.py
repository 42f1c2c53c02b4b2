"""No key reaches another tenant's rows: every route, every kind of key, every place that takes an id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_origin
from uuid import UUID

import pytest

from server_beta.domain.principals import Scope
from server_beta.http.route import Entry, Route
from server_beta.http.routes import ROUTES
from tests.server_beta.api.client import Answer, Client
from tests.server_beta.api.conftest import Api
from tests.server_beta.api.samples import Request, id_kind, members, name_of, noun_before, places, replaced, request
from tests.server_beta.api.world import Home, Key

KEYED = [route for route in ROUTES if route.needs_key]
# Ids in a list choose among what the caller sees; those that choose nothing are absent from the answer.
_CHOOSING = {"ids"}


@dataclass(frozen=True, slots=True)
class Homes:
    """Two projects of one team, and one of another."""

    own: Home
    sibling: Home
    stranger: Home


@pytest.fixture(scope="module")
def homes(api: Api) -> Homes:
    own, sibling = api.team("own", "sibling")
    return Homes(own, sibling, api.team("stranger")[0])


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that is good but for one id, which is somebody else's."""

    request: Request
    place: str
    chooses: bool


def attempts(route: Route, own: Home, other: Home) -> Iterator[Attempt]:
    """Put another home's id in each place of a route that takes one."""
    shape = route.shape()
    good, whole = request(route, own.ids), request(route, own.ids, whole=True)

    def foreign(kind: Any, name: str) -> str | None:
        noun = id_kind(kind, name)
        # Homes of one team share it.
        return None if noun is None or other.ids[noun] == own.ids[noun] else str(other.ids[noun])

    for name, kind in shape.path.items():
        if (theirs := foreign(kind, noun_before(route, name))) is not None:
            yield Attempt(replace(good, path={**good.path, name: theirs}), f"path {name}", chooses=False)
    for at, name, kind in places(shape.query):
        if (theirs := foreign(kind, name)) is not None:
            yield Attempt(replace(good, query={**good.query, name: theirs}), f"query {at}", chooses=False)
    for at, name, kind in places(shape.body):
        if get_origin(members(kind)[0]) is not list and (theirs := foreign(kind, name)) is not None:
            body = replaced(good.body, at, theirs) or replaced(whole.body, at, theirs)
            assert body is not None, f"{name_of(route)} has no example with {at}"
            yield Attempt(replace(good, body=body), f"body {at}", name in _CHOOSING)


def ask(client: Client, asked: Request) -> Answer:
    if asked.body is None:
        return client.ask(asked.route.method, asked.target)
    return client.send(asked.route.method, asked.target, asked.body)


def keys_against(homes: Homes) -> Iterator[tuple[Key, Home]]:
    """Yield each key with each home that it must not see into."""
    for key in homes.own.keys.values():
        yield key, homes.stranger
    yield homes.own.keys["project"], homes.sibling


def may(key: Key, route: Route) -> bool:
    return route.scope is Entry.ANY_KEY or (isinstance(route.scope, Scope) and key.holds(route.scope))


def assert_refused(answer: Answer, attempt: Attempt, key: Key) -> None:
    if not may(key, attempt.request.route):
        answer.assert_problem(403)
    elif attempt.chooses:
        assert answer.status == 200, (attempt.place, answer)
    else:
        answer.assert_problem(404)


@pytest.mark.parametrize("route", KEYED, ids=name_of)
def test_a_foreign_id_is_not_found_and_nothing_changes(api: Api, homes: Homes, route: Route) -> None:
    before = api.rows()
    for key, other in keys_against(homes):
        with api.client(key) as client:
            for attempt in attempts(route, homes.own, other):
                answer = ask(client, attempt.request)
                assert other.canary.encode() not in answer.body, (key.name, attempt.place, answer)
                assert_refused(answer, attempt, key)
    assert api.rows() == before


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET"], ids=name_of)
def test_nothing_of_another_tenant_is_in_an_answer(api: Api, homes: Homes, route: Route) -> None:
    for key, other in keys_against(homes):
        with api.client(key) as client:
            for whole in (False, True):
                answer = ask(client, request(route, homes.own.ids, whole=whole))
                assert answer.status < 500, (key.name, answer)
                assert other.canary.encode() not in answer.body, (key.name, answer)


def done_by_keys(api: Api, home: Home) -> list[tuple[str, str | None]]:
    """Return by which keys the audit log says that things were done: as the actor's name, and as the key's id."""
    sql = "SELECT substr(actor, 9), api_key_id::text FROM audit_log WHERE team_id = $1 AND actor LIKE 'api_key:%'"
    return [tuple(row) for row in api.run(lambda connection: connection.fetch(sql, home.ids["team"]))]


@pytest.mark.parametrize("route", KEYED, ids=name_of)
def test_the_right_key_gets_its_own(api: Api, route: Route) -> None:
    (home,) = api.team("fresh")
    with api.client(home.keys["admin" if route.scope is Scope.ADMIN else "team"]) as client:
        answer = ask(client, request(route, home.ids))
    assert answer.status in route.statuses, answer
    noted = done_by_keys(api, home)
    assert all(name == key_id for name, key_id in noted), noted
    if route.method != "GET" and route.scope is not Scope.OBSERVATIONS_READ:
        assert noted, "a change that nobody is told to have made"


@pytest.mark.parametrize("route", KEYED, ids=name_of)
def test_a_key_without_the_scope_is_forbidden_its_own(api: Api, homes: Homes, route: Route) -> None:
    lacking = [key for key in homes.own.keys.values() if not may(key, route)]
    # The admin key holds every scope, so only reading is open to all four.
    assert bool(lacking) == (route.scope not in {Scope.OBSERVATIONS_READ, Scope.JOBS_READ, Entry.ANY_KEY})
    before = api.rows()
    for key in lacking:
        with api.client(key) as client:
            ask(client, request(route, homes.own.ids, whole=True)).assert_problem(403)
    assert api.rows() == before


@pytest.mark.parametrize("route", KEYED, ids=name_of)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Basic eDp5"}, 401),
        ({"Authorization": "Bearer cmem_" + "a" * 49}, 403),
        ({"X-Api-Key": "nonsense"}, 403),
        ({"X-Api-Key": "\u00e9"}, 403),
    ],
)
def test_without_a_key_nothing_is_told(
    api: Api, homes: Homes, route: Route, headers: Mapping[str, str], status: int
) -> None:
    asked = request(route, homes.own.ids, whole=True)
    with api.client(None) as client:
        answer = client.ask(route.method, asked.target, None if asked.body is None else b"{}", headers)
    answer.assert_problem(status)
    assert homes.own.canary.encode() not in answer.body


# The table of the API's design, written down once more: the one under test must not be its own witness.
OPEN = """
GET /healthz · GET /readyz · GET /api/readiness · GET /api/health · GET /api/version · GET /v1/info ·
GET /openapi.json
"""
SCOPES: dict[Scope | Entry, str] = {
    Entry.ANY_KEY: "GET /v1/connect",
    Entry.LOCAL_OR_ADMIN: "GET /metrics",
    Scope.EVENTS_WRITE: """
        POST /v1/hooks/{adapter}/{event} · POST /v1/events · POST /v1/events/batch · POST /api/sessions/init ·
        POST /api/sessions/observations · POST /api/sessions/summarize
    """,
    Scope.SESSIONS_WRITE: "POST /v1/sessions/start · POST /v1/sessions/{id}/end",
    Scope.OBSERVATIONS_READ: """
        GET /v1/events/{id} · GET /v1/events/{id}/observations · GET /v1/sessions/{id} · GET /v1/context/recent ·
        POST /v1/context · GET /v1/observations ·
        POST /v1/observations/batch · GET /v1/observations/{id} · GET /v1/memories ·
        GET /v1/memories/{id} · GET /v1/timeline · POST /v1/search · GET /v1/stream ·
        GET /v1/projects · GET /v1/projects/{id}
    """,
    Scope.OBSERVATIONS_WRITE: """
        POST /v1/observations · PATCH /v1/observations/{id} · DELETE /v1/observations/{id} · POST /v1/memories ·
        PATCH /v1/memories/{id} · DELETE /v1/memories/{id}
    """,
    Scope.JOBS_READ: """
        GET /v1/jobs · GET /v1/jobs/{id} · GET /v1/teams/{id}/jobs · GET /v1/projects/{id}/jobs · GET /v1/usage
    """,
    Scope.JOBS_WRITE: "POST /v1/jobs/{id}/retry · POST /v1/jobs/{id}/cancel",
    Scope.PROJECTS_WRITE: "POST /v1/projects",
    Scope.KEYS_WRITE: "GET /v1/keys · POST /v1/keys · POST /v1/keys/{id}/rotate · DELETE /v1/keys/{id}",
    Scope.ADMIN: "GET /v1/audit · DELETE /v1/projects/{id}/memory",
}


def test_each_route_needs_the_scope_that_it_should() -> None:
    promised: dict[str, Scope | Entry | None] = {
        name.strip(): scope for scope, names in SCOPES.items() for name in names.split("·")
    }
    promised |= {name.strip(): None for name in OPEN.split("·")}
    assert {name_of(route): route.scope for route in ROUTES} == promised


def test_every_table_has_a_row_of_every_tenant(api: Api, homes: Homes) -> None:
    def held(home: Home, kind: str) -> set[str]:
        return {table for table, rows in api.rows().items() if any(str(home.ids[kind]) in row for row in rows)}

    tables = set(api.rows()) - {"teams", "team_members"}
    for home in (homes.own, homes.sibling, homes.stranger):
        assert held(home, "project") == tables


def test_every_answer_that_could_leak_would(api: Api, homes: Homes) -> None:
    reads = [route for route in KEYED if route.method == "GET" and "{id}" in route.path]
    with api.client(homes.stranger.keys["admin"]) as client:
        told = {name_of(route): ask(client, request(route, homes.stranger.ids)).body for route in reads}
    assert told
    assert [name for name, body in told.items() if homes.stranger.canary.encode() not in body] == []


def test_an_unknown_kind_of_id_is_named() -> None:
    with pytest.raises(AssertionError, match="widgetId"):
        id_kind(UUID, "widgetId")
