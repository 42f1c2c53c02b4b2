"""What hooks spooled is delivered in order and once, also when it was delivered before."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.worker.parts import Chain, body, edit, headers, prompt, stop
from worker.domain.errors import Unavailable
from worker.domain.records import HookAnswer
from worker.services.context import Context
from worker.services.drain_spool import DrainSpool
from worker.services.hooks import Hooks
from worker.services.signals import Signals
from worker.settings import Settings


@pytest.fixture
def spool(chain: Chain, tmp_path: Path) -> DrainSpool:
    settings = Settings(tmp_path)
    context = Context(chain.database, chain.clock, 2000)
    hooks = Hooks(chain.database, chain.ingest, context, Signals(), chain.clock, settings)
    folder = tmp_path / "spool" / "worker"
    folder.mkdir(parents=True)
    return DrainSpool(folder, hooks)


def _write(
    spool: DrainSpool, number: int, content: dict[str, object], event_id: str, adapter: str = "claude-code"
) -> Path:
    head = [f"POST /v1/hooks/{adapter}/{content['hook_event_name']} HTTP/1.1"]
    head += [f"{name}: {value}" for name, value in headers(event_id).items()]
    path = spool.folder / f"{number:015d}-{event_id}.http"
    path.write_bytes("\r\n".join([*head, "", ""]).encode() + json.dumps(content).encode())
    return path


async def test_what_is_spooled_is_stored_in_order_and_removed(spool: DrainSpool, chain: Chain) -> None:
    _write(spool, 3, stop(), "c")
    _write(spool, 1, prompt("Fix it."), "a")
    _write(spool, 2, edit("a.py"), "b")
    await spool.run()
    assert chain.rows("SELECT event_type FROM events ORDER BY sequence") == [
        ("UserPromptSubmit",),
        ("PostToolUse",),
        ("Stop",),
    ]
    assert spool.state() == {"pending": 0, "rejected": 0, "dropped": 0}


async def test_what_was_delivered_and_spooled_is_stored_once(spool: DrainSpool, chain: Chain) -> None:
    assert await chain.take(stop(), "same")
    _write(spool, 1, stop(), "same")
    await spool.run()
    _write(spool, 1, stop(), "same")
    await spool.run()
    assert chain.rows("SELECT count(*) FROM events") == [(1,)]
    assert spool.state()["pending"] == 0


async def test_a_spooled_start_owes_the_context(spool: DrainSpool, chain: Chain) -> None:
    _write(spool, 1, body("SessionStart", source="startup"), "start")
    await spool.run()
    assert chain.rows("SELECT context_owed FROM sessions") == [(1,)]


async def test_what_can_never_be_stored_is_set_aside(spool: DrainSpool, chain: Chain) -> None:
    spool.folder.joinpath("1.http").write_bytes(b"garbage")
    spool.folder.joinpath("2.http").write_bytes(b"POST /v1/hooks/claude-code/Stop HTTP/1.1\r\n\r\n{")
    spool.folder.joinpath("3.http").write_bytes(b"GET /elsewhere HTTP/1.1\r\n\r\n{}")
    _write(spool, 4, body("Stop", session_id=None), "invalid")
    _write(spool, 5, stop(), "foreign", adapter="other-client")
    _write(spool, 6, stop(), "good")
    await spool.run()
    assert chain.rows("SELECT count(*) FROM events") == [(1,)]
    assert spool.state() == {"pending": 0, "rejected": 5, "dropped": 0}


async def test_what_was_set_aside_is_bounded(spool: DrainSpool) -> None:
    for number in range(120):
        spool.folder.joinpath(f"{number:03d}.http").write_bytes(b"garbage")
    await spool.run()
    assert spool.state()["rejected"] == 100
    assert min(path.name for path in spool.folder.joinpath("rejected").iterdir()) == "020.http"


async def test_files_that_are_being_written_are_left_alone(spool: DrainSpool) -> None:
    spool.folder.joinpath(".tmp-1.http").write_bytes(b"half")
    spool.folder.joinpath(".dropped").write_text("7")
    await spool.run()
    assert spool.state() == {"pending": 0, "rejected": 0, "dropped": 7}
    assert spool.folder.joinpath(".tmp-1.http").exists()


async def test_a_database_that_is_away_leaves_everything_where_it_is(spool: DrainSpool, chain: Chain) -> None:
    for number in range(3):
        _write(spool, number, stop(), f"event-{number}")
    chain.database._writer._is_closed = True
    with pytest.raises(Unavailable):
        await spool.run()
    assert spool.state()["pending"] == 3
    chain.database._writer._is_closed = False
    await spool.run()
    assert chain.rows("SELECT count(*) FROM events") == [(3,)]


def test_a_folder_that_does_not_exist_is_an_empty_one(spool: DrainSpool) -> None:
    spool.folder.rmdir()
    assert spool.state() == {"pending": 0, "rejected": 0, "dropped": 0}


async def test_what_no_hook_writes_keeps_nobody_waiting(spool: DrainSpool, chain: Chain) -> None:
    (spool.folder / f"{1:015d}-folder.http").mkdir()
    os.mkfifo(spool.folder / f"{2:015d}-fifo.http")
    (spool.folder / f"{3:015d}-link.http").symlink_to("/nowhere")
    with (spool.folder / f"{4:015d}-huge.http").open("wb") as huge:
        huge.truncate(1 << 40)
    _write(spool, 5, stop(), "good")
    async with asyncio.timeout(10):
        await spool.run()
    assert chain.rows("SELECT event_type FROM events") == [("Stop",)]
    assert spool.state() == {"pending": 0, "rejected": 4, "dropped": 0}


async def test_an_event_that_fails_for_no_known_reason_is_put_off(
    spool: DrainSpool, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[str] = []
    receive = Hooks.receive

    async def failing(hooks: Hooks, name: str, body: Mapping[str, object], headers: Mapping[str, str]) -> HookAnswer:
        received.append(name)
        if name == "UserPromptSubmit":
            raise RuntimeError("nobody thought of this")
        return await receive(hooks, name, body, headers)

    monkeypatch.setattr(Hooks, "receive", failing)
    bad = _write(spool, 1, prompt("Fix it."), "bad")
    _write(spool, 2, stop(), "good")
    await spool.run()
    _write(spool, 3, stop(), "later")
    await spool.run()
    assert received == ["UserPromptSubmit", "Stop", "Stop"]
    assert chain.rows("SELECT event_type FROM events") == [("Stop",), ("Stop",)]
    assert bad.exists()
