"""Two server processes on one database are sent the same event at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest

from server_beta.storage.database import Database
from tests.support.counting import count, every_count
from tests.support.processes import watched_data_dir
from tests.support.server import Server, running_server
from tests.support.waiting import eventually

_DELIVERIES = 1_000


@pytest.fixture
def servers(database: str) -> Iterator[list[Server]]:
    settings = {"CLAUDE_MEM_SERVER_DATABASE_URL": database, "CLAUDE_MEM_GENERATION_DISABLED": "1"}
    with ExitStack() as running:
        folders = [running.enter_context(watched_data_dir()) for _ in range(2)]
        yield [running.enter_context(running_server(folder, **settings)) for folder in folders]


async def test_a_thousand_identical_deliveries_to_two_servers_are_one_event(
    servers: list[Server], store: Database
) -> None:
    named = {"key": "git:example.org/shop", "name": "shop"}
    project = servers[0].ask("POST", "/v1/projects", named).body["project"]
    event = {
        "projectId": project["id"],
        "sourceType": "api",
        "eventType": "note",
        "occurredAtEpoch": 1_760_000_000_000,
        "payload": {"text": "We decided to keep amounts in cents."},
    }
    before = await every_count(store)
    async with aiohttp.ClientSession() as client:

        async def deliver(server: Server) -> tuple[int, Any]:
            url, headers = f"http://127.0.0.1:{server.port}/v1/events", {"Authorization": f"Bearer {server.key}"}
            async with client.post(url, json=event, headers=headers) as answer:
                return answer.status, await answer.json()

        answers = await asyncio.gather(*(deliver(servers[number % 2]) for number in range(_DELIVERIES)))
    assert Counter(status for status, _ in answers) == {201: 1, 200: _DELIVERIES - 1}
    assert len({(body["event"]["id"], body["generationJob"]["id"]) for _, body in answers}) == 1
    await eventually(lambda: count(store, "observation_generation_job_events", "event = 'enqueued'"), within=15)
    after = await every_count(store)
    grown = {table: after[table] - before[table] for table in after if after[table] != before[table]}
    # A relay that is slow is helped out by the other server's sweep: the job is then published twice, under one id.
    assert grown.pop("public.observation_generation_job_events") >= 2
    assert await count(store, "observation_generation_job_events", "event = 'queued'") == 1
    assert grown.pop("claude_mem_queue.event") >= 1
    assert grown == {
        "public.agent_events": 1,
        "public.observation_generation_jobs": 1,
        "public.audit_log": 1,
        "claude_mem_queue.job": 1,
    }
