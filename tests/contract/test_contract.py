"""One contract, two runtimes: every case runs against both, as processes, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.contract.cases import Case, World, load_cases, replay, send
from tests.contract.matching import differences
from tests.contract.runtimes import RUNTIMES, Address, Answer, running
from tests.support.processes import watched_data_dir

_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.02


@pytest.fixture(scope="module", params=sorted(RUNTIMES), ids=str)
def address(request: pytest.FixtureRequest) -> Iterator[Address]:
    with watched_data_dir() as data_dir, running(RUNTIMES[request.param], data_dir) as started:
        yield started


@pytest.mark.parametrize("case", load_cases(), ids=lambda case: case.name)
def test_contract(address: Address, case: Case) -> None:
    world = World()
    for number, step in enumerate(case.steps, 1):
        _run(address, world, step, f"{case.name}, step {number} ({step.get('about', case.about)})")


def _run(address: Address, world: World, step: Mapping[str, Any], where: str) -> None:
    if "replay" in step:
        replay(address, world, step["replay"])
        return
    patience = _PATIENCE_SECONDS if step.get("eventually") else 0.0
    deadline = time.monotonic() + patience
    while unmet := _unmet(world, step, answer := send(address, world, step)):
        if time.monotonic() >= deadline:
            raise AssertionError(f"{where}: {'; '.join(unmet)}")
        time.sleep(_PAUSE_SECONDS)
    for name, path in step.get("save", {}).items():
        world.saved[name] = _member(answer.json(), path)


def _unmet(world: World, step: Mapping[str, Any], answer: Answer) -> list[str]:
    expect = step["expect"]
    unmet = [] if answer.status == expect["status"] else [f"status {answer.status} is not {expect['status']}"]
    unmet += differences(world.fill(expect.get("headers", {})), dict(answer.headers), "headers")
    if "json" in expect and not unmet:
        unmet += differences(world.fill(expect["json"]), answer.json())
    return unmet


def _member(value: Any, path: str) -> object:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
