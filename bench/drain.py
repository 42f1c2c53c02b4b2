"""How fast waiting jobs are worked off, and how soon an event is visible, beside the raw bullmq worker."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import aiohttp
import asyncpg
from bullmq import Queue, Worker

from .database import dsn_of
from .report import Row, milliseconds
from .server import BenchServer, running

_JOBS = 1_500
_AT_20_A_SECOND = 200
_CONCURRENCY = 8
# Sleeps in the database, so that asking again and again costs the server next to nothing.
_WORK_LEFT = """
SELECT EXISTS (SELECT FROM observation_generation_jobs WHERE status IN ('queued', 'processing')) FROM pg_sleep(0.02)
"""


def measure() -> list[Row]:
    """Drain jobs with the extractive provider in one process, then post at 20 events a second and wait for each."""
    with running(CLAUDE_MEM_QUEUE_CONCURRENCY_EVENT=str(_CONCURRENCY)) as server:
        return asyncio.run(_measure(server))


async def _measure(server: BenchServer) -> list[Row]:
    raw = await _raw_worker(dsn_of(server.data_dir))
    async with aiohttp.ClientSession(headers=server.headers) as client:
        async with client.post(
            f"{server.url}/v1/projects", json={"key": "git:example.org/bench", "name": "bench"}
        ) as answer:
            project = str((await answer.json())["project"]["id"])
        rate = await _drain(client, server, project)
        seconds = [await _visible(client, server, project) for _ in range(_AT_20_A_SECOND)]
    return [
        Row(
            f"drain, extractive, one process, concurrency {_CONCURRENCY}, BullMQ on Postgres",
            f"{rate:.0f} jobs/s",
            f"raw bullmq worker that does nothing {raw:.0f} jobs/s",
            f"{rate / raw:.2f} x",
        ),
        Row("event posted until its observation is visible, 20 events/s", milliseconds(seconds), "", ""),
    ]


async def _drain(client: aiohttp.ClientSession, server: BenchServer, project: str) -> float:
    began = time.perf_counter()
    for _ in range(_JOBS // 500):
        events = [_event(project) for _ in range(500)]
        async with client.post(f"{server.url}/v1/events/batch", json=events) as answer:
            assert answer.status == 201, await answer.text()
    connection = await asyncpg.connect(dsn_of(server.data_dir))
    try:
        while await connection.fetchval(_WORK_LEFT):
            pass
    finally:
        await connection.close()
    return _JOBS / (time.perf_counter() - began)


async def _visible(client: aiohttp.ClientSession, server: BenchServer, project: str) -> float:
    await asyncio.sleep(0.05)
    began = time.perf_counter()
    async with client.post(f"{server.url}/v1/events?wait=true", json=_event(project)) as answer:
        body = await answer.json()
    assert body["generationJob"]["status"] == "completed", body
    return time.perf_counter() - began


def _event(project: str) -> dict[str, Any]:
    return {
        "projectId": project,
        "sourceType": "api",
        "eventType": "note",
        "occurredAtEpoch": int(time.time() * 1000),
        "sourceEventId": str(uuid.uuid4()),
        "payload": {"text": f"We decided to keep amounts in cents, note {uuid.uuid4()}."},
    }


async def _raw_worker(dsn: str) -> float:
    options: dict[str, Any] = {"backend": "postgres", "connection": dsn, "schema": "bench_raw"}
    queue = Queue("bench_raw", options)
    await queue.addBulk([{"name": "job", "data": {}, "opts": {"removeOnComplete": True}} for _ in range(_JOBS)])
    done = asyncio.Event()
    count = 0

    async def work(_job: object, _token: str) -> None:
        nonlocal count
        count += 1
        if count == _JOBS:
            done.set()

    began = time.perf_counter()
    worker = Worker("bench_raw", work, {**options, "autorun": False, "concurrency": _CONCURRENCY})
    running_worker = asyncio.create_task(worker.run())
    await done.wait()
    rate = _JOBS / (time.perf_counter() - began)
    await worker.close()
    await running_worker
    await queue.close()
    return rate
