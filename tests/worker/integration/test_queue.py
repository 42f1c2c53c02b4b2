"""The state machine of jobs: guarded, fenced, and as the table in domain/jobs.py says."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.worker.parts import Chain, stop
from worker.domain.ids import JobId
from worker.domain.jobs import TRANSITIONS, Claim, JobStatus
from worker.storage import jobs
from worker.storage.connection import Connection

_LEASE = timedelta(seconds=60)


async def _claim(chain: Chain) -> Claim | None:
    now = chain.clock.now()
    return await chain.database.write(lambda connection: jobs.claim_next(connection, now, now + _LEASE))


async def _claimed(chain: Chain) -> Claim:
    await chain.take(stop())
    claim = await _claim(chain)
    assert claim is not None
    return claim


async def _ask_again(chain: Chain, claim: Claim) -> None:
    def ask(connection: Connection) -> None:
        jobs.queue(
            connection, claim.project_id, claim.session_id, claim.source_type, claim.source_id, chain.clock.now()
        )

    await chain.database.write(ask)


async def _complete(chain: Chain, claim: Claim) -> bool:
    return await chain.database.write(lambda connection: jobs.complete(connection, claim, chain.clock.now()))


async def _give_back(chain: Chain, claim: Claim, wait: timedelta | None) -> bool:
    at = None if wait is None else chain.clock.now() + wait
    return await chain.database.write(
        lambda connection: jobs.give_back(connection, claim, at, "no luck", chain.clock.now())
    )


async def _rescue(chain: Chain) -> int:
    now = chain.clock.now()
    return await chain.database.write(lambda connection: jobs.rescue(connection, before=now, now=now))


def _job(chain: Chain) -> tuple[str, int, int]:
    ((status, attempts, revision),) = chain.rows("SELECT status, attempts, revision FROM jobs")
    return status, attempts, revision


async def test_a_job_is_claimed_once(chain: Chain) -> None:
    claim = await _claimed(chain)
    assert (claim.attempt, claim.revision) == (1, 1)
    assert await _claim(chain) is None
    assert _job(chain) == ("processing", 1, 1)


async def test_a_claim_is_finished_once(chain: Chain) -> None:
    claim = await _claimed(chain)
    assert await _complete(chain, claim)
    assert not await _complete(chain, claim)
    assert _job(chain) == ("completed", 1, 1)


async def test_a_claim_that_was_lost_changes_nothing(chain: Chain) -> None:
    lost = await _claimed(chain)
    chain.clock.advance(_LEASE + timedelta(seconds=1))
    assert await _rescue(chain) == 1
    held = await _claim(chain)
    assert held is not None
    before = chain.rows("SELECT * FROM jobs")
    later = chain.clock.now() + _LEASE
    assert not await _complete(chain, lost)
    assert not await _give_back(chain, lost, timedelta())
    assert not await _give_back(chain, lost, None)
    assert not await chain.database.write(lambda connection: jobs.release(connection, lost, chain.clock.now()))
    assert not await chain.database.write(lambda connection: jobs.heartbeat(connection, lost, later))
    assert chain.rows("SELECT * FROM jobs") == before
    assert await _complete(chain, held)


async def test_a_source_that_grows_while_it_is_worked_on_is_worked_on_again(chain: Chain) -> None:
    claim = await _claimed(chain)
    await _ask_again(chain, claim)
    assert _job(chain) == ("processing", 1, 2)
    assert await _complete(chain, claim)
    assert _job(chain) == ("queued", 0, 2)
    again = await _claim(chain)
    assert again is not None
    assert await _complete(chain, again)
    assert _job(chain) == ("completed", 1, 2)


async def test_a_source_that_grows_while_it_waits_is_worked_on_once(chain: Chain) -> None:
    await chain.take(stop())
    await chain.take(stop())
    assert _job(chain) == ("queued", 0, 2)


@pytest.mark.parametrize("is_failed", [False, True])
async def test_a_job_that_is_over_waits_again_with_all_its_attempts(chain: Chain, is_failed: bool) -> None:
    claim = await _claimed(chain)
    assert await (_give_back(chain, claim, None) if is_failed else _complete(chain, claim))
    await _ask_again(chain, claim)
    assert _job(chain) == ("queued", 0, 2)


async def test_a_job_waits_for_its_time(chain: Chain) -> None:
    claim = await _claimed(chain)
    assert await _give_back(chain, claim, timedelta(seconds=10))
    assert await _claim(chain) is None
    due_at = await chain.database.read(jobs.next_due_at)
    assert due_at == chain.clock.now() + timedelta(seconds=10)
    chain.clock.advance(timedelta(seconds=10))
    assert (await _claim(chain)) is not None


async def test_a_job_fails_when_its_attempts_are_spent(chain: Chain) -> None:
    claim: Claim | None = await _claimed(chain)
    for _ in range(4):
        assert claim is not None
        assert await _give_back(chain, claim, timedelta())
        claim = await _claim(chain)
    assert claim is not None
    assert claim.attempt == claim.max_attempts == 5
    assert await _give_back(chain, claim, timedelta())
    assert _job(chain) == ("failed", 5, 1)
    assert chain.rows("SELECT last_error FROM jobs") == [("no luck",)]


async def test_a_poisonous_job_fails_when_it_has_taken_every_process_with_it(chain: Chain) -> None:
    await chain.take(stop())
    for _ in range(5):
        assert await _claim(chain) is not None
        await chain.database.write(lambda connection: jobs.rescue(connection, before=None, now=chain.clock.now()))
    assert await _claim(chain) is None
    assert _job(chain)[0] == "failed"


async def test_a_heartbeat_keeps_a_claim_from_being_rescued(chain: Chain) -> None:
    claim = await _claimed(chain)
    chain.clock.advance(_LEASE - timedelta(seconds=1))
    until = chain.clock.now() + _LEASE
    assert await chain.database.write(lambda connection: jobs.heartbeat(connection, claim, until))
    chain.clock.advance(timedelta(seconds=2))
    assert await _rescue(chain) == 0
    assert await _complete(chain, claim)


async def test_a_release_gives_the_attempt_back(chain: Chain) -> None:
    claim = await _claimed(chain)
    assert await chain.database.write(lambda connection: jobs.release(connection, claim, chain.clock.now()))
    assert _job(chain) == ("queued", 0, 1)


async def test_turns_come_before_summaries(chain: Chain) -> None:
    await chain.take(stop(prompt_id="one"))
    await chain.generate.run_next()
    chain.clock.advance(timedelta(seconds=1))
    await chain.take(stop(prompt_id="two"))
    await chain.work()
    assert len(chain.provider.summarised) == 1
    assert len(chain.provider.summarised[0].events) == 2


async def test_an_unknown_job_is_not_there(chain: Chain) -> None:
    assert await chain.database.read(lambda connection: jobs.get(connection, JobId(UUID(int=0)))) is None


def test_completed_and_failed_jobs_are_asked_for_again_only_by_ingest() -> None:
    for status in (JobStatus.COMPLETED, JobStatus.FAILED):
        assert {(move.target, move.actor) for move in TRANSITIONS if move.source is status} == {
            (JobStatus.QUEUED, "ingest")
        }
