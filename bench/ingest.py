"""How fast events are stored: over HTTP with their jobs, beside a loop that inserts the same rows one by one."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import asyncpg

from .database import dsn_of
from .report import Row, percentile
from .server import BenchServer, running

_PAYLOAD = {"text": "x" * 2000}


def measure() -> list[Row]:
    """Post at concurrency 1, 16 and 64, and batches of 500 at concurrency 4, with generation off."""
    with running(CLAUDE_MEM_GENERATION_DISABLED="1") as server:
        return asyncio.run(_measure(server))


async def _measure(server: BenchServer) -> list[Row]:
    rows: list[Row] = []
    async with aiohttp.ClientSession(headers=server.headers, connector=aiohttp.TCPConnector(limit=0)) as client:
        project = await _project(client, server)
        raw = await _raw_inserts(server, 1_000)
        beside = f"one-row INSERT loop {raw:.0f}/s"
        await _load(lambda: _post(client, server, project), 200, 16)
        for concurrency, events in ((1, 600), (16, 3_000), (64, 6_000)):
            rate, latencies = await _load(lambda: _post(client, server, project), events, concurrency)
            rows.append(
                Row(
                    f"POST /v1/events with its job, 2 KB, concurrency {concurrency}",
                    f"{rate:.0f}/s (p99 {percentile(latencies, 0.99) * 1000:.0f} ms)",
                    beside,
                    f"{rate / raw:.2f} x",
                )
            )
        rate, _ = await _load(lambda: _post_batch(client, server, project, 500), 40, 4)
        rows.append(
            Row(
                "POST /v1/events/batch, 500 events with jobs, concurrency 4",
                f"{rate * 500:.0f} events/s",
                beside,
                f"{rate * 500 / raw:.2f} x",
            )
        )
    return rows


async def _load(send: Callable[[], Awaitable[None]], requests: int, concurrency: int) -> tuple[float, list[float]]:
    """Send requests from that many clients; returns requests a second, and the latency of each in seconds."""
    latencies: list[float] = []
    left = iter(range(requests))

    async def client() -> None:
        for _ in left:
            began = time.perf_counter()
            await send()
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return requests / (time.perf_counter() - began), latencies


async def _project(client: aiohttp.ClientSession, server: BenchServer) -> str:
    async with client.post(
        f"{server.url}/v1/projects", json={"key": "git:example.org/bench", "name": "bench"}
    ) as answer:
        return str((await answer.json())["project"]["id"])


def _event(project: str) -> dict[str, Any]:
    return {
        "projectId": project,
        "sourceType": "api",
        "eventType": "bench",
        "occurredAtEpoch": int(time.time() * 1000),
        "sourceEventId": str(uuid.uuid4()),
        "payload": _PAYLOAD,
    }


async def _post(client: aiohttp.ClientSession, server: BenchServer, project: str) -> None:
    async with client.post(f"{server.url}/v1/events", json=_event(project)) as answer:
        assert answer.status == 201, await answer.text()
        await answer.read()


async def _post_batch(client: aiohttp.ClientSession, server: BenchServer, project: str, size: int) -> None:
    async with client.post(f"{server.url}/v1/events/batch", json=[_event(project) for _ in range(size)]) as answer:
        assert answer.status == 201, await answer.text()
        await answer.read()


async def _raw_inserts(server: BenchServer, rows: int) -> float:
    """Insert rows of the same size one by one, each its own commit; returns rows a second."""
    connection = await asyncpg.connect(dsn_of(server.data_dir))
    try:
        await connection.execute("CREATE TABLE bench_raw (id uuid PRIMARY KEY, payload jsonb)")
        payload = json.dumps(_PAYLOAD)
        began = time.perf_counter()
        for _ in range(rows):
            await connection.execute("INSERT INTO bench_raw VALUES ($1, $2::jsonb)", uuid.uuid4(), payload)
        return rows / (time.perf_counter() - began)
    finally:
        await connection.close()
