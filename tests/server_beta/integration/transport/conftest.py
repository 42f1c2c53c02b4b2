"""The transport under test, on each of its backends; no task may be left running."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from server_beta.transport.bullmq import BullmqTransport
from tests.server_beta.integration.transport_backends import Backend, Opener, no_task_left

SECOND = timedelta(seconds=1)


@pytest.fixture(params=["redis", "postgres"])
def backend(request: pytest.FixtureRequest) -> Backend:
    fixture = "redis" if request.param == "redis" else "empty_database"
    return Backend(request.param, request.getfixturevalue(fixture))


@pytest.fixture(autouse=True)
async def nothing_is_left_running() -> AsyncIterator[None]:
    async with no_task_left():
        yield


@pytest.fixture
async def opened(backend: Backend) -> AsyncIterator[Opener]:
    transports: list[BullmqTransport] = []

    async def open_one(prefix: str = "claude_mem") -> BullmqTransport:
        transport = backend.transport(prefix)
        transports.append(transport)
        await transport.open()
        return transport

    yield open_one
    for transport in transports:
        await transport.close(timedelta(0))


@pytest.fixture
async def transport(opened: Opener) -> BullmqTransport:
    return await opened()
