"""`/metrics`: what is measured, to whom it is shown, and that it says nothing about anybody."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from server_beta.domain.ports import Generated, Retryable, Unusable
from server_beta.domain.turns import Material
from server_beta.domain.usage import Spent
from server_beta.services.measured_provider import MeasuredProvider
from server_beta.services.metrics import Metrics
from server_beta.storage.database import Database
from server_beta.version import VERSION
from tests.support.chain import Chain
from tests.support.providers import ScriptedProvider
from tests.support.streams import Node, make_key, node
from tests.support.tenants import Tenant

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
async def server(database: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with node(database, tmp_path, auth_mode="api-key") as running:
        yield running


@pytest.fixture
async def key(store: Database, tenant: Tenant) -> str:
    return await make_key(store, tenant, "events:write", "observations:read", "projects:write")


async def _scrape(server: Node) -> tuple[str, Samples]:
    server.server.exposition._made_at = float("-inf")
    async with server.opened(None, path="/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await response.text()
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return text, samples


def _value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


async def test_requests_are_counted_by_route_template_and_nothing_else(server: Node, key: str) -> None:
    for _ in range(3):
        async with server.opened(key, path=f"/v1/observations/{uuid.uuid4()}") as response:
            assert response.status == 404
    async with server.opened(key, path=f"/nowhere/{uuid.uuid4()}") as response:
        assert response.status == 404
    async with (
        aiohttp.ClientSession() as client,
        client.request("PROPFIND", f"{server.url}/v1/observations/x") as response,
    ):
        assert response.status == 404
    text, samples = await _scrape(server)
    route = {"method": "GET", "route": "/v1/observations/{id}"}
    assert _value(samples, "claude_mem_http_requests_total", status="404", **route) == 3
    assert _value(samples, "claude_mem_http_request_duration_seconds_count", **route) == 3
    assert _value(samples, "claude_mem_http_request_duration_seconds_bucket", le="+Inf", **route) == 3
    assert "nowhere" not in text
    assert "PROPFIND" not in text
    assert _value(samples, "claude_mem_http_requests_total", method="OTHER", route="unmatched", status="404") == 1
    routes = {dict(labels)["route"] for name, labels in samples if name == "claude_mem_http_requests_total"}
    assert routes == {"/v1/observations/{id}", "unmatched"}


async def test_events_jobs_and_the_backlog_are_counted(server: Node, key: str, store: Database, tenant: Tenant) -> None:
    event = {
        "projectId": str(tenant.project.id),
        "sourceType": "api",
        "eventType": "note",
        "occurredAtEpoch": 1_700_000_000_000,
        "payload": {"text": "canary-payload"},
    }
    headers = {"Authorization": f"Bearer {key}"}
    server.server._transport.is_away = True  # type: ignore[attr-defined]
    async with aiohttp.ClientSession(headers=headers) as client:
        for expected in (201, 200, 200):
            async with client.post(f"{server.url}/v1/events", json=event) as response:
                assert response.status == expected
    text, samples = await _scrape(server)
    assert _value(samples, "claude_mem_events_total", outcome="stored") == 1
    assert _value(samples, "claude_mem_events_total", outcome="replayed") == 2
    assert _value(samples, "claude_mem_jobs", lane="event", status="queued") == 1
    assert _value(samples, "claude_mem_jobs", lane="summary", status="failed") == 0
    assert _value(samples, "claude_mem_relay_backlog") == 1
    assert _value(samples, "claude_mem_transport_up", lane="event") == 0
    for secret in ("canary", key, str(tenant.project.id), str(tenant.principal.team_id), tenant.project.name, "git:"):
        assert secret not in text


async def test_the_process_and_its_parts_are_measured(server: Node, key: str) -> None:
    async with server.stream(key):
        _, samples = await _scrape(server)
    assert _value(samples, "claude_mem_stream_subscribers") == 1
    assert _value(samples, "claude_mem_database_up") == 1
    assert _value(samples, "claude_mem_database_connections", state="most") == 16
    assert 0 <= _value(samples, "claude_mem_database_connections", state="used") <= 16
    assert _value(samples, "claude_mem_transport_messages", lane="event-batch", state="waiting") == 0
    assert _value(samples, "claude_mem_build_info", version=VERSION) == 1
    assert _value(samples, "claude_mem_uptime_seconds") > 0
    assert _value(samples, "process_resident_memory_bytes") > 1_000_000
    assert _value(samples, "process_open_fds") > 0


async def test_a_scrape_says_that_the_database_is_away(server: Node) -> None:
    await server.server.exposition.database.close(1)
    _, samples = await _scrape(server)
    assert _value(samples, "claude_mem_database_up") == 0
    assert not [name for name, _ in samples if name == "claude_mem_jobs"]


async def test_the_store_is_asked_once_a_second_however_many_scrape(server: Node) -> None:
    await _scrape(server)
    async with server.opened(None, path="/metrics") as response:
        first = await response.read()
    async with server.opened(None, path="/metrics") as response:
        assert await response.read() == first


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
async def test_who_comes_through_a_proxy_needs_an_admins_key(
    server: Node, store: Database, tenant: Tenant, key: str, header: str
) -> None:
    admin = await make_key(store, tenant, "admin")
    for sent, status in ((None, 401), ("cmem_wrong", 403), (key, 403), (admin, 200)):
        headers = {header: "203.0.113.9"} | ({} if sent is None else {"Authorization": f"Bearer {sent}"})
        async with aiohttp.ClientSession(headers=headers) as client, client.get(f"{server.url}/metrics") as response:
            assert response.status == status


async def test_keys_that_are_tried_on_the_metrics_are_limited_like_any_other(
    database: str, tmp_path: Path, store: Database, tenant: Tenant
) -> None:
    admin = await make_key(store, tenant, "admin")
    async with node(database, tmp_path, auth_mode="api-key", rate_limit_per_min=5) as server:

        async def status(path: str, sent: str) -> int:
            headers = {"X-Forwarded-For": "203.0.113.9", "X-Api-Key": sent}
            async with aiohttp.ClientSession(headers=headers) as client, client.get(server.url + path) as response:
                return response.status

        assert await status("/metrics", admin) == 200
        guesses = [await status("/metrics", f"cmem_guess{number}") for number in range(8)]
        assert guesses == [403] * 5 + [429] * 3
        assert await status("/v1/projects", "cmem_guess") == 429
        # Who has just shown a good key is counted by itself.
        assert [await status("/metrics", admin) for _ in range(5)] == [200] * 4 + [429]


async def test_answers_of_the_provider_are_counted_with_what_they_cost(chain: Chain) -> None:
    metrics = Metrics()
    spent = Spent("p", "m", 30, 12)
    inner = ScriptedProvider(Generated((), spent), Retryable("later"), Unusable("no"), ValueError("x"))
    provider = MeasuredProvider(inner, metrics)
    for _ in range(3):
        await provider.observe(Material((), None))
    with pytest.raises(ValueError, match="x"):
        await provider.observe(Material((), None))
    await provider.summarise(Material((), None))
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }
    for outcome in ("generated", "retryable", "unusable", "raised"):
        assert values["claude_mem_generations_total", "observe", outcome] == 1
    assert values["claude_mem_generations_total", "summarise", "generated"] == 1
    assert values["claude_mem_generation_duration_seconds_count", "observe"] == 4
    assert (values["claude_mem_tokens_total", "input"], values["claude_mem_tokens_total", "output"]) == (30, 12)
