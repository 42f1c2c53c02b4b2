"""The whole worker in this process, over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from tests.support.waiting import eventually
from tests.worker.parts import PROJECT, body, edit, headers, prompt, stop
from worker.bootstrap import serve
from worker.domain.errors import PortTaken, SchemaRefused
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class _Client:
    session: aiohttp.ClientSession
    url: str

    async def post(self, content: dict[str, object], event_id: str | None = None, **more: str) -> int:
        event = content["hook_event_name"]
        async with self.session.post(
            f"{self.url}/v1/hooks/claude-code/{event}", json=content, headers=headers(event_id, **more)
        ) as response:
            await response.read()
            return response.status

    async def get(self, path: str) -> dict[str, object]:
        async with self.session.get(self.url + path) as response:
            answer: dict[str, object] = await response.json()
            return answer

    async def is_idle(self) -> bool:
        health = await self.get("/api/health")
        return health["jobs"] == {"queued": 0, "processing": 0, "failed": 0}


@asynccontextmanager
async def _serving(settings: Settings) -> AsyncIterator[_Client]:
    stop_event = asyncio.Event()
    addresses: list[tuple[str, int]] = []
    serving = asyncio.create_task(serve(settings, stop_event, lambda host, port: addresses.append((host, port))))
    try:
        await eventually(lambda: addresses or serving.done())
        ((host, port),) = addresses
        token = settings.data_dir.joinpath(".worker.token").read_text("ascii").strip()
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            yield _Client(session, f"http://{host}:{port}")
    finally:
        stop_event.set()
        async with asyncio.timeout(10):
            await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path, port=0, log_level="warning")


def _nobody(_host: str, _port: int) -> None:
    raise AssertionError("it must not become ready")


def _rows(settings: Settings, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(settings.data_dir / "worker.db")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def test_two_hundred_at_once(settings: Settings) -> None:
    async with _serving(settings) as client:
        posts = [client.post(edit(f"{number % 100}.py"), f"event {number % 100}") for number in range(200)]
        statuses = await asyncio.gather(*posts)
        assert sorted(statuses) == [200] * 100 + [201] * 100
        health = await client.get("/api/health")
        assert health["eventsToday"] == 100
    assert _rows(settings, "SELECT count(*) FROM events") == [(100,)]
    assert _rows(settings, "SELECT count(*) FROM sessions") == [(1,)]


async def test_what_is_queued_at_a_stop_is_worked_on_after_the_next_start(settings: Settings) -> None:
    async with _serving(replace(settings, generation_disabled=True)) as client:
        assert await client.post(edit("a.py")) == 201
        assert await client.post(stop("Fixed the rounding in a.py.")) == 201
        health = await client.get("/api/health")
        assert health["generation"] == {
            "status": "disabled",
            "provider": "extractive",
            "lastSuccessEpoch": None,
            "consecutiveFailures": 0,
            "lastFailure": None,
        }
        assert health["jobs"] == {"queued": 1, "processing": 0, "failed": 0}
    async with _serving(settings) as client:
        await eventually(client.is_idle)
        listed = await client.get("/v1/observations")
        assert len(listed["observations"]) == 2  # type: ignore[arg-type]


async def test_a_spooled_event_is_delivered_while_the_worker_runs(settings: Settings) -> None:
    async with _serving(settings) as client:
        spool = settings.data_dir / "spool" / "worker"
        spool.mkdir(parents=True)
        head = [
            "POST /v1/hooks/claude-code/Stop HTTP/1.1",
            *(f"{n}: {v}" for n, v in headers("spooled").items()),
            "",
            "",
        ]
        temporary = spool / ".tmp-1"
        temporary.write_bytes("\r\n".join(head).encode() + json.dumps(stop()).encode())
        temporary.rename(spool / "000000000000001-spooled.http")
        await eventually(lambda: not list(spool.glob("*.http")))
        assert await client.post(stop(), "spooled") == 200


async def test_a_port_that_is_taken_is_named(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{port}; .*CLAUDE_MEM_WORKER_PORT"):
            await serve(replace(settings, port=port), asyncio.Event(), _nobody)


async def test_a_newer_database_refuses_the_start(settings: Settings) -> None:
    async with _serving(settings):
        pass
    connection = sqlite3.connect(settings.data_dir / "worker.db")
    connection.execute("INSERT INTO schema_migrations VALUES (99, '0099_future.sql', 'x', 0)")
    connection.commit()
    connection.close()
    with pytest.raises(SchemaRefused, match="run a newer claude-mem"):
        await serve(settings, asyncio.Event(), _nobody)


async def test_an_excluded_project_and_a_skipped_tool_are_not_stored(settings: Settings) -> None:
    chosen = replace(settings, excluded_projects=("/home/dev/private*",), skip_tools=("Glob",))
    async with _serving(chosen) as client:
        assert await client.post(stop(), project_root="/home/dev/private/notes") == 200
        assert await client.post(body("PostToolUse", tool_name="Glob", tool_input={}, tool_response={})) == 200
    assert _rows(settings, "SELECT count(*) FROM events") == [(0,)]


async def test_notes_about_files_can_be_switched_off(settings: Settings) -> None:
    reading = body("PreToolUse", tool_name="Read", tool_input={"file_path": "/home/dev/shop/a.py"})

    async def note(client: _Client) -> dict[str, object]:
        url = f"{client.url}/v1/hooks/claude-code/PreToolUse"
        async with client.session.post(url, json=reading, headers=headers()) as response:
            answer: dict[str, object] = await response.json()
            return answer

    async with _serving(settings) as client:
        await client.post(edit("a.py"))
        await client.post(stop("Fixed the rounding in a.py."))
        await eventually(client.is_idle)
        assert "hookSpecificOutput" in await note(client)
    async with _serving(replace(settings, context_files=False)) as client:
        assert await note(client) == {}


async def test_a_session_that_starts_at_once_waits_for_what_is_being_generated(settings: Settings) -> None:
    async with _serving(settings) as client:
        await client.post(prompt("Fix the rounding."))
        await client.post(edit("a.py"))
        await client.post(stop("Fixed the rounding in a.py."))
        starting = body("SessionStart", source="startup", session_id="next", prompt_id=None)
        url = f"{client.url}/v1/hooks/claude-code/SessionStart"
        async with client.session.post(url, json=starting, headers=headers()) as response:
            answer = await response.json()
    assert "a.py" in answer["hookSpecificOutput"]["additionalContext"]


async def test_a_stop_answers_what_it_was_asked_and_closes_idle_connections(settings: Settings) -> None:
    async with _serving(settings) as client:
        await client.get("/healthz")
        in_flight = [asyncio.create_task(client.post(edit(f"{number}.py"))) for number in range(50)]
        await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
    outcomes = await asyncio.gather(*in_flight, return_exceptions=True)
    acknowledged = sum(outcome == 201 for outcome in outcomes)
    assert acknowledged
    assert _rows(settings, "SELECT count(*) FROM events")[0][0] >= acknowledged  # type: ignore[operator]


async def test_projects_are_named_as_the_client_names_them(settings: Settings) -> None:
    async with _serving(settings) as client:
        await client.post(stop())
        listed = await client.get("/v1/projects")
    assert [(one["key"], one["name"]) for one in listed["projects"]] == [(PROJECT, "shop")]  # type: ignore[attr-defined]
