"""How fast events are stored: over HTTP with their jobs, beside a loop that inserts the same rows one by one."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg

from .database import dsn_of
from .load import Load, post, send_all
from .report import Row, milliseconds
from .server import BenchServer, running

# What an agent reads and writes: source code, a different piece in each event.
_SOURCE = Path(argparse.__file__).read_text("utf-8")
# By size of the payload in characters: how many events at each concurrency, and how many rows for comparison.
_SINGLE = {2_000: {1: 800, 16: 5_000, 64: 10_000}, 20_000: {1: 300, 16: 1_200, 64: 2_400}}
_RAW_ROWS = {2_000: 1_500, 20_000: 500}
# By size of the batch: how many of them, by four clients.
_BATCHES = {100: 100, 500: 30}
_BATCH_CLIENTS = 4
_WARM_UP = 500
_RAW_INSERT = """
INSERT INTO bench_raw (
    id, project_id, team_id, source_type, source_adapter, source_event_id, event_type, platform_source, payload,
    metadata, idempotency_key, occurred_at, received_at, created_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now())
"""


def measure() -> list[Row]:
    """Post events of 2 and 20 KB at concurrency 1, 16 and 64, and batches of 100 and 500, with generation off."""
    with running(CLAUDE_MEM_GENERATION_DISABLED="1") as server:
        project = _project(server)
        raw = {size: asyncio.run(_raw_inserts(server, project, size, rows)) for size, rows in _RAW_ROWS.items()}
        _send(server, [_single(server, project, 2_000) for _ in range(_WARM_UP)], 16)
        return [*_singles(server, project, raw), *_batches(server, project, raw[2_000])]


def _singles(server: BenchServer, project: str, raw: dict[int, float]) -> Iterator[Row]:
    for size, by_concurrency in _SINGLE.items():
        for concurrency, events in by_concurrency.items():
            load = _send(server, [_single(server, project, size) for _ in range(events)], concurrency)
            work = f"POST /v1/events with its job, {size // 1000} KB, concurrency {concurrency}"
            yield _row(work, load, 1, f"{size // 1000} KB", raw[size])


def _batches(server: BenchServer, project: str, raw: float) -> Iterator[Row]:
    for size, batches in _BATCHES.items():
        bodies = [json.dumps([_event(project, 2_000) for _ in range(size)]).encode() for _ in range(batches)]
        requests = [post(server.port, server.key, "/v1/events/batch", body) for body in bodies]
        work = f"POST /v1/events/batch, {size} events of 2 KB with their jobs, concurrency {_BATCH_CLIENTS}"
        yield _row(work, _send(server, requests, _BATCH_CLIENTS), size, "2 KB", raw)


def _row(work: str, load: Load, events: int, size: str, raw: float) -> Row:
    rate = load.rate * events
    measured = f"{rate:.0f} events/s, {milliseconds(load.latencies)}"
    return Row(work, measured, f"one-row INSERT loop, {size}, {raw:.0f}/s", f"{rate / raw:.2f} x")


def _send(server: BenchServer, requests: list[bytes], concurrency: int) -> Load:
    return asyncio.run(send_all(server.port, requests, concurrency))


def _project(server: BenchServer) -> str:
    body = json.dumps({"key": "git:example.org/bench", "name": "bench"}).encode()
    headers = {**server.headers, "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{server.url}/v1/projects", body, headers)) as answer:
        return str(json.load(answer)["project"]["id"])


def _single(server: BenchServer, project: str, size: int) -> bytes:
    return post(server.port, server.key, "/v1/events", json.dumps(_event(project, size)).encode())


_numbers = count()


def _event(project: str, size: int) -> dict[str, Any]:
    begin = next(_numbers) * 97 % (len(_SOURCE) - size)
    text = _SOURCE[begin : begin + size]
    return {
        "projectId": project,
        "sourceType": "api",
        "eventType": "PostToolUse",
        "occurredAtEpoch": int(time.time() * 1000),
        "sourceEventId": str(uuid.uuid4()),
        "payload": {
            "tool_name": "Edit",
            "tool_input": {"file_path": "/home/dev/shop/src/cart.py", "new_string": text[: size // 2]},
            "tool_response": {"file_path": "/home/dev/shop/src/cart.py", "content": text[size // 2 :]},
        },
    }


async def _raw_inserts(server: BenchServer, project: str, size: int, rows: int) -> float:
    """Insert such rows one by one into a table of the same columns, each its own commit; returns rows a second."""
    events = [_event(project, size) for _ in range(rows)]
    connection = await asyncpg.connect(dsn_of(server.data_dir))
    try:
        await connection.execute(
            "DROP TABLE IF EXISTS bench_raw; CREATE TABLE bench_raw (LIKE agent_events, PRIMARY KEY (id))"
        )
        insert = await connection.prepare(_RAW_INSERT)
        began = time.perf_counter()
        for event in events:
            now = datetime.now(UTC)
            who = (uuid.uuid4(), uuid.UUID(project), uuid.UUID(project))
            what = (event["sourceType"], "api", event["sourceEventId"], event["eventType"], "api")
            content = (json.dumps(event["payload"]), "{}")
            await insert.fetch(*who, *what, *content, event["sourceEventId"], now, now)
        return rows / (time.perf_counter() - began)
    finally:
        await connection.close()
