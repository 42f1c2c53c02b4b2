"""What the real client sent, byte for byte, through the hook."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hooks.client import HookClient
from tests.hooks.stub_runtime import StubRuntime
from tests.hooks.test_contract import EVENTS

SAMPLES = sorted((Path(__file__).resolve().parents[1] / "data" / "claude_code" / "samples").glob("*.json"))


def test_there_is_a_sample_of_every_event() -> None:
    assert {path.name.split(".")[0] for path in SAMPLES} >= set(EVENTS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_recorded_event_arrives_as_it_was_sent(client: HookClient, sample: Path) -> None:
    event = sample.name.split(".")[0]
    with StubRuntime() as runtime:
        client.listen(runtime.port)
        assert client.run(event, sample.read_bytes()).out == b""
    assert [request.body for request in runtime.requests] == ([sample.read_bytes()] if event in EVENTS else [])
    assert client.spooled() == []
    assert client.log() == ""
