"""A body that takes long to read and to redact: whoever sends one waits for it, and nobody else does."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server_beta.services.aside import aside
from tests.support.api import Api, serving
from tests.support.tenants import Tenant, make_tenant

# Each member is looked at as a password.
_SLOW = ["pwd=1234"] * 40_000


@pytest.fixture
async def api(database: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(database, tmp_path) as api:
        yield api


def _bodies(tenant: Tenant) -> dict[str, dict[str, object]]:
    project_id = str(tenant.project.id)
    event = {"projectId": project_id, "sourceType": "api", "eventType": "note", "occurredAtEpoch": 1}
    tool = {"tool_name": "Bash", "tool_input": {"command": "env"}, "tool_response": {"lines": _SLOW}}
    return {
        "/v1/events?generate=false": {**event, "payload": {"lines": _SLOW}},
        "/v1/events/batch?generate=false": {**event, "metadata": {"lines": _SLOW}},
        "/v1/sessions/start": {"projectId": project_id, "metadata": {"lines": _SLOW}},
        "/v1/observations": {"projectId": project_id, "title": "t", "metadata": {"lines": _SLOW}},
        "/v1/hooks/claude-code/PostToolUse": {"session_id": "s-1", "cwd": "/home/dev/shop", **tool},
        "/api/sessions/observations": {"contentSessionId": "s-1", "cwd": "/home/dev/shop", **tool},
    }


async def test_others_are_answered_while_a_large_body_is_worked_on(api: Api) -> None:
    tenant = await make_tenant(api.store)
    key = await api.key(tenant)
    for path, body in _bodies(tenant).items():
        began = time.monotonic()
        sending = asyncio.create_task(api.ask(key, "POST", path, [body] if "batch" in path else body))
        longest = 0.0
        while not sending.done():
            asked_at = time.monotonic()
            async with api.client.get(f"{api.url}/healthz") as response:
                assert response.status == 200
            longest = max(longest, time.monotonic() - asked_at)
        answer = await sending
        assert answer.status in {200, 201}, answer
        assert longest < (time.monotonic() - began) / 2, path


@pytest.mark.parametrize("small", [b"x", "x" * 1000, {"a": [1, 2, {"b": "c"}]}, None, ()])
async def test_what_is_small_is_done_at_once(small: object) -> None:
    assert await aside(threading.get_ident, small) == threading.get_ident()


@pytest.mark.parametrize(
    "large",
    [
        b"x" * 300_000,
        "x" * 300_000,
        ["x" * 1000] * 300,
        {"a": {str(number): "" for number in range(20_000)}},
        [[[]]] * 20_000,
        (("payload", {"text": "x" * 300_000}), None),
    ],
    ids=["bytes", "text", "texts", "members", "lists", "nested"],
)
async def test_what_is_large_leaves_the_event_loop_to_others(large: object) -> None:
    assert await aside(threading.get_ident, large) != threading.get_ident()


async def test_a_refusal_of_a_large_body_is_the_refusal_of_a_small_one(api: Api) -> None:
    key = await api.key(await make_tenant(api.store))
    for body in (b"{" * 300_000, b'{"a": "' + b"x" * 300_000, b"[" + b'"\\ud800",' * 40_000 + b"1e999]"):
        async with api.client.post(
            f"{api.url}/v1/events", data=body, headers={"Authorization": f"Bearer {key}"}
        ) as response:
            assert response.status == 400
            assert json.loads(await response.read())["error"] == "ValidationError"
