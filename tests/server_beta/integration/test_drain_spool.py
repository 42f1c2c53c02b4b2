"""The spool, file by file: order, and one bad file that must not keep the others waiting."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from server_beta.domain.errors import Unavailable
from server_beta.domain.principals import Principal
from server_beta.domain.records import HookAnswer
from server_beta.services.drain_spool import DrainSpool
from server_beta.services.hooks import Hooks
from tests.support.tenants import Tenant


class _Taking(Hooks):
    """Takes events in; some of them fail it."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.failures: dict[str, Exception] = {}

    async def receive(
        self,
        principal: Principal,  # noqa: ARG002
        event_name: str,  # noqa: ARG002
        body: Mapping[str, object],
        headers: Mapping[str, str],  # noqa: ARG002
        request_id: str | None,  # noqa: ARG002
    ) -> HookAnswer:
        """Take an event in, or fail as a test has it."""
        name = str(body["session_id"])
        if name in self.failures:
            raise self.failures[name]
        self.taken.append(name)
        return HookAnswer({}, created=True)


@pytest.fixture
def hooks() -> _Taking:
    return _Taking()


@pytest.fixture
def spool(tmp_path: Path, hooks: _Taking, tenant: Tenant) -> DrainSpool:
    return DrainSpool(tmp_path, hooks, tenant.principal)


def _put(spool: DrainSpool, number: int, adapter: str = "claude-code") -> Path:
    path = spool.folder / f"{number:015d}-x.http"
    body = json.dumps({"session_id": str(number)})
    path.write_bytes(f"POST /v1/hooks/{adapter}/Stop HTTP/1.1\r\nA: b\r\n\r\n{body}".encode())
    return path


def _rejected(spool: DrainSpool) -> list[str]:
    return sorted(path.name for path in (spool.folder / "rejected").iterdir())


async def test_events_are_delivered_in_the_order_of_their_names(spool: DrainSpool, hooks: _Taking) -> None:
    for number in (3, 1, 2):
        _put(spool, number)
    (spool.folder / ".tmp-4").write_bytes(b"half")
    assert await spool.run() == 3
    assert hooks.taken == ["1", "2", "3"]
    assert [path.name for path in spool.folder.iterdir()] == [".tmp-4"]


async def test_what_is_no_file_or_too_large_or_for_another_adapter_is_set_aside(
    spool: DrainSpool, hooks: _Taking
) -> None:
    spool.folder.joinpath("1.http").mkdir()
    os.mkfifo(spool.folder / "2.http")
    spool.folder.joinpath("3.http").symlink_to("/dev/zero")
    with spool.folder.joinpath("4.http").open("wb") as huge:
        huge.truncate(8 * 1024**3)
    _put(spool, 5, "another")
    _put(spool, 6)
    assert await spool.run() == 1
    assert hooks.taken == ["6"]
    assert len(_rejected(spool)) == 5


async def test_an_event_that_fails_unexpectedly_waits_while_the_others_go_on(spool: DrainSpool, hooks: _Taking) -> None:
    poison = _put(spool, 1)
    _put(spool, 2)
    hooks.failures["1"] = RuntimeError("boom")
    assert await spool.run() == 1
    assert hooks.taken == ["2"]
    assert poison.exists()
    hooks.failures.clear()
    assert await spool.run() == 0, "it is not tried again at once"
    spool._put_off.clear()
    assert await spool.run() == 1


async def test_a_store_that_is_away_stops_the_delivery_in_order(spool: DrainSpool, hooks: _Taking) -> None:
    for number in (1, 2, 3):
        _put(spool, number)
    hooks.failures["2"] = Unavailable()
    with pytest.raises(Unavailable):
        await spool.run()
    assert hooks.taken == ["1"]
    hooks.failures.clear()
    assert await spool.run() == 2
    assert hooks.taken == ["1", "2", "3"]


async def test_only_the_last_hundred_of_what_was_set_aside_are_kept(spool: DrainSpool) -> None:
    for number in range(120):
        (spool.folder / f"{number:03d}.http").write_bytes(b"not a request")
    assert await spool.run() == 0
    assert _rejected(spool) == [f"{number:03d}.http" for number in range(20, 120)]
