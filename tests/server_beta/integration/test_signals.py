"""Who waits for a job is woken by whichever process finishes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from server_beta.domain.ids import JobId, new_id
from server_beta.domain.ports import Unusable
from server_beta.services.broadcaster import Broadcaster
from server_beta.services.signals import Signals
from server_beta.storage.database import Database
from server_beta.storage.notifications import Listener
from tests.support.chain import Chain, titled
from tests.support.counting import run_sql
from tests.support.providers import ScriptedProvider
from tests.support.waiting import eventually

_LONG = timedelta(seconds=30)


@pytest.fixture
async def signals(store: Database, database: str) -> AsyncIterator[Signals]:
    """Give what wakes the waiters of a process that generates nothing itself."""
    listener, signals = Listener(database), Signals()
    broadcaster = Broadcaster(store, listener, signals)
    listener.start()
    await eventually(lambda: broadcaster.is_listening)
    yield signals
    await listener.stop()


async def _seconds_until_woken(signals: Signals, job_id: JobId) -> float:
    began = time.monotonic()
    await signals.wait(job_id, _LONG)
    return time.monotonic() - began


@pytest.mark.parametrize("outcome", [titled("one"), Unusable("no")])
async def test_a_job_that_another_process_finishes_wakes_its_waiter(
    signals: Signals, chain: Chain, outcome: object
) -> None:
    message = await chain.turn("PostToolUse", "Stop")
    waiting = asyncio.create_task(_seconds_until_woken(signals, message.job_id))
    other = asyncio.create_task(signals.wait(JobId(new_id()), _LONG))
    await asyncio.sleep(0)
    await chain.generate(ScriptedProvider(outcome)).run(message)  # type: ignore[arg-type]
    assert await waiting < 2
    assert not other.done()
    other.cancel()


async def test_a_cancelled_job_wakes_its_waiter(signals: Signals, chain: Chain, store: Database) -> None:
    message = await chain.turn("PostToolUse", "Stop")
    waiting = asyncio.create_task(_seconds_until_woken(signals, message.job_id))
    await asyncio.sleep(0)
    await run_sql(
        store,
        "UPDATE observation_generation_jobs SET status = 'cancelled', cancelled_at = now() WHERE id = $1",
        message.job_id,
    )
    assert await waiting < 2


async def test_a_listener_that_comes_back_makes_every_waiter_look_again(signals: Signals, store: Database) -> None:
    waiting = asyncio.create_task(_seconds_until_woken(signals, JobId(new_id())))
    await asyncio.sleep(0)
    await run_sql(
        store,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'claude-mem listener'",
    )
    assert await waiting < 3


async def test_nobody_is_left_in_the_list_of_waiters(signals: Signals) -> None:
    await signals.wait(JobId(new_id()), timedelta(milliseconds=1))
    assert not signals._waiters
