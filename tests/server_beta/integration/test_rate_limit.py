"""A rate limit on a real server: who is held up by it, and who is not."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.server import Server, command, running_server
from tests.support.waiting import eventually_sync

PER_MINUTE = 20


def statuses(server: Server, count: int, **headers: str) -> list[int]:
    return [server.ask("GET", "/v1/projects", **headers).status for _ in range(count)]


def spool(folder: Path, count: int) -> None:
    """Leave events of a session where a hook leaves those that nobody took."""
    folder.mkdir(parents=True)
    for number in range(count):
        head = (
            "POST /v1/hooks/claude-code/UserPromptSubmit HTTP/1.1\r\n"
            f"X-Claude-Mem-Event-Id: 0190b0f0-0000-7000-8000-{number:012d}\r\n"
            f"X-Claude-Mem-Occurred-At: {1_700_000_000_000 + number}\r\n"
            "X-Claude-Mem-Project: git%3Aexample.org%2Fshop\r\n\r\n"
        )
        body = {"session_id": "s", "prompt_id": f"p-{number}", "cwd": "/home/dev/shop", "prompt": "Go on"}
        folder.joinpath(f"{number:015d}-x.http").write_bytes(head.encode() + json.dumps(body).encode())


def test_a_limit_holds_up_keys_and_strangers_each_by_themselves_and_no_spool(data_dir: Path, database: str) -> None:
    settings = {
        "CLAUDE_MEM_SERVER_DATABASE_URL": database,
        "CLAUDE_MEM_RATE_LIMIT_PER_MIN": str(PER_MINUTE),
        "CLAUDE_MEM_GENERATION_DISABLED": "1",
    }
    spooled = data_dir / "spool" / "server-beta"
    spool(spooled, 3 * PER_MINUTE)
    with running_server(data_dir, **settings) as server:
        eventually_sync(lambda: not list(spooled.glob("*.http")), within=15)
        assert server.ask("GET", "/api/health").body["eventsToday"] == 3 * PER_MINUTE

        created = command(data_dir, "api-key", "create", "--name", "another", "--json", **settings)
        another = json.loads(created.stdout)["key"]
        assert statuses(server, 1) == [200]
        strange = statuses(server, 3 * PER_MINUTE, Authorization="", X_Api_Key="cmem_guess")
        assert set(strange) == {403, 429}
        assert strange[-1] == 429
        # Who has just shown a good key is not held up by strangers at its address; who has not is one of them.
        assert statuses(server, 1) == [200]
        assert statuses(server, 1, Authorization=f"Bearer {another}") == [429]
        assert set(statuses(server, 2 * PER_MINUTE)) == {200, 429}

        address = f"http://127.0.0.1:{server.port}/v1/projects"
        request = urllib.request.Request(address, headers={"X-Api-Key": server.key})
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request, timeout=5)
        with raised.value as refused:
            assert refused.code == 429
            assert 1 <= int(refused.headers["Retry-After"]) <= 60 / PER_MINUTE
            assert refused.headers["Content-Type"] == "application/problem+json"
        assert server.ask("GET", "/healthz").status == server.ask("GET", "/readyz").status == 200
