"""Events over real HTTP on a real store: what is the same event, what is written for it, and what is refused whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server_beta.domain.api_keys import hash_key, new_key
from server_beta.domain.ids import new_id
from server_beta.domain.ports import SystemClock
from server_beta.http.app import build_app
from server_beta.http.services import Services
from server_beta.services.access import Access
from server_beta.services.metrics import Metrics
from server_beta.settings import Settings
from tests.support.chain import Chain
from tests.support.counting import every_count, run_sql
from tests.support.server import Answer
from tests.support.tenants import Tenant, make_tenant

_AT = 1_760_000_000_000


@dataclass(slots=True)
class Api:
    """A client of the tenant, and the store and transport behind the server."""

    client: TestClient[web.Request, web.Application]
    chain: Chain
    key: str

    async def post(self, body: object, path: str = "/v1/events", *, key: str | None = None) -> Answer:
        """Post JSON, or text as it is."""
        headers = {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"}
        sent: dict[str, Any] = {"data": body} if isinstance(body, str) else {"json": body}
        async with self.client.post(path, headers={**headers, "X-Request-Id": "asked-1"}, **sent) as response:
            return Answer(response.status, await response.json(content_type=None))

    def event(self, number: int = 0, tenant: Tenant | None = None, **more: object) -> dict[str, Any]:
        """Make an event that its sender has numbered."""
        return {
            "projectId": str((tenant or self.chain.tenant).project.id),
            "sourceType": "api",
            "eventType": "note",
            "occurredAtEpoch": _AT + number,
            "sourceEventId": f"note-{number}",
            "payload": {"text": "Kept amounts in cents.", "n": number},
            **more,
        }

    async def audited(self) -> list[dict[str, object]]:
        """Return what the audit log says of events."""
        return await run_sql(
            self.chain.store,
            "SELECT action, actor, resource_id, request_id, api_key_id, details FROM audit_log"
            " WHERE resource_type = 'agent_event' ORDER BY created_at, id",
        )


async def _new_key(chain: Chain, tenant: Tenant, *scopes: str) -> str:
    key = new_key()
    await run_sql(
        chain.store,
        "INSERT INTO api_keys (id, team_id, name, key_hash, scopes, created_by)"
        " VALUES ($1, $2, 'test', $3, $4, 'test')",
        new_id(),
        tenant.principal.team_id,
        hash_key(key),
        list(scopes),
    )
    return key


@pytest.fixture
async def api(chain: Chain) -> AsyncIterator[Api]:
    clock = SystemClock()
    services = SimpleNamespace(access=Access(chain.store, clock, "api-key"), ingest=chain.ingest, metrics=Metrics())
    app = build_app(cast("Services", services), Settings.from_env({}))
    chain.relay.start()
    async with TestClient(TestServer(app)) as client:
        yield Api(client, chain, await _new_key(chain, chain.tenant, "events:write"))
    await chain.relay.stop(5)


async def _published(api: Api) -> int:
    await api.chain.relay.publish_offered()
    return len(api.chain.transport.published)


async def test_a_new_event_is_audited_once_with_who_sent_it(api: Api) -> None:
    stored = await api.post(api.event())
    assert stored.status == 201
    (row,) = await api.audited()
    assert row["api_key_id"] is not None
    assert row == {
        "action": "event.received",
        "actor": f"api_key:{row['api_key_id']}",
        "resource_id": stored.body["event"]["id"],
        "request_id": "asked-1",
        "api_key_id": row["api_key_id"],
        "details": {"events": 1},
    }


async def test_a_replay_answers_the_same_and_writes_no_row_of_any_kind(api: Api) -> None:
    first = await api.post(api.event())
    assert await _published(api) == 1
    before = await every_count(api.chain.store)
    again = await api.post(api.event())
    batch = await api.post([api.event(), api.event()], "/v1/events/batch")
    assert (first.status, again.status, batch.status) == (201, 200, 200)
    for answer in (again.body, *batch.body["events"]):
        assert answer["event"] == first.body["event"]
        assert answer["generationJob"]["id"] == first.body["generationJob"]["id"]
    assert await _published(api) == 1
    assert await every_count(api.chain.store) == before


async def test_a_batch_is_audited_once_under_its_first_new_event(api: Api) -> None:
    known = await api.post(api.event(1))
    batch = await api.post([api.event(number) for number in (1, 2, 3, 2)], "/v1/events/batch")
    assert batch.status == 201
    ids = [one["event"]["id"] for one in batch.body["events"]]
    assert ids[0] == known.body["event"]["id"]
    assert ids[1] == ids[3]
    _, row = await api.audited()
    assert (row["action"], row["resource_id"], row["details"]) == ("event.batch_received", ids[1], {"events": 2})
    assert await _published(api) == 3


_BAD: dict[str, tuple[int, dict[str, object]]] = {
    "foreign": (404, {}),
    "malformed": (400, {"occurredAtEpoch": "yesterday"}),
}


@pytest.mark.parametrize("kind", _BAD)
async def test_one_bad_event_among_five_hundred_leaves_nothing(api: Api, kind: str) -> None:
    status, wrong = _BAD[kind]
    foreign = await make_tenant(api.chain.store, "foreign")
    events = [api.event(number) for number in range(500)]
    events[321] = api.event(321, foreign if kind == "foreign" else None, **wrong)
    before = await every_count(api.chain.store)
    assert (await api.post(events, "/v1/events/batch")).status == status
    assert await _published(api) == 0
    assert await every_count(api.chain.store) == before


async def test_who_may_not_write_events_writes_nothing(api: Api) -> None:
    reader = await _new_key(api.chain, api.chain.tenant, "observations:read", "sessions:write")
    before = await every_count(api.chain.store)
    for body, path in ((api.event(), "/v1/events"), ([api.event()], "/v1/events/batch")):
        assert (await api.post(body, path, key=reader)).status == 403
    assert await every_count(api.chain.store) == before


async def test_two_teams_may_number_their_events_alike(api: Api) -> None:
    other = await make_tenant(api.chain.store, "other")
    theirs = await _new_key(api.chain, other, "events:write")
    ours = await api.post(api.event())
    answer = await api.post(api.event(tenant=other), key=theirs)
    assert answer.status == 201
    assert answer.body["event"]["id"] != ours.body["event"]["id"]


async def test_an_event_without_a_number_is_known_by_its_time_and_content(api: Api) -> None:
    anonymous = api.event(sourceEventId=None, payload={"b": [1, {"y": 2.5, "x": "é"}], "a": None})
    first = await api.post(anonymous)
    assert (await api.post(anonymous)).body["event"]["id"] == first.body["event"]["id"]
    turned = (
        '{"payload": {"a": null, "b": [1, {"x": "\\u00e9", "y": 2.5}]}, "sourceEventId": null, "eventType": "note",'
        f' "occurredAtEpoch": {_AT}, "sourceType": "api", "projectId": "{anonymous["projectId"]}"}}'
    )
    same = await api.post(turned)
    assert (same.status, same.body["event"]["id"]) == (200, first.body["event"]["id"])
    changes: list[dict[str, object]] = [{"occurredAtEpoch": _AT + 1}, {"eventType": "other"}, {"payload": {"b": []}}]
    for change in changes:
        assert (await api.post({**anonymous, **change})).status == 201


async def test_an_event_stays_the_same_when_its_session_begins_before_the_retry(api: Api) -> None:
    anonymous = api.event(sourceEventId=None, contentSessionId="s-1", platformSource="claude-code")
    first = await api.post(anonymous)
    await run_sql(api.chain.store, "UPDATE server_sessions SET content_session_id = 's-1'")
    again = await api.post(anonymous)
    assert (again.status, again.body["event"]["id"]) == (200, first.body["event"]["id"])
    new = await api.post({**anonymous, "eventType": "other"})
    assert new.body["event"]["serverSessionId"] == str(api.chain.tenant.session_id)
