"""Generate observations from the queue: claim, load, ask the provider, store. No transaction spans the provider."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

from ..domain.errors import Unavailable
from ..domain.ids import ObservationId, derived_id, digest
from ..domain.jobs import Claim, SourceType
from ..domain.observations import Draft
from ..domain.ports import Clock, Generated, Outcome, Provider, Retryable, Unusable
from ..domain.turns import Material, Recorded
from ..storage import events, jobs, observations, sessions, turns
from ..storage.connection import Connection
from ..storage.database import Database
from .ledger import Ledger
from .signals import Signals

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
_DEADLINE = timedelta(seconds=120)
# Waits before the next attempts, each varied by up to a quarter so that jobs do not come back in step.
_BACKOFF = (timedelta(seconds=2), timedelta(seconds=15), timedelta(seconds=60))


@dataclass(frozen=True, slots=True)
class Generate:
    """Works on one job at a time; an answer whose claim is lost changes nothing."""

    database: Database
    provider: Provider
    signals: Signals
    ledger: Ledger
    clock: Clock
    lease: timedelta = LEASE

    async def run_next(self) -> bool:
        """Work on the job that is due first; false when none is."""
        now = self.clock.now()
        claim = await self.database.write(lambda connection: jobs.claim_next(connection, now, now + self.lease))
        if claim is None:
            return False
        heartbeat = asyncio.create_task(self._keep(claim))
        try:
            await self._work(claim)
        except Exception as error:
            # Not the work's fault: a store that failed. Without this the job would wait for its lease to end.
            log.exception(
                "a job could not be finished", extra={"action": "job_interrupted", "job_id": str(claim.job_id)}
            )
            await self._give_back(
                claim, f"storing failed: {type(error).__name__}", self.clock.now() + _backoff(claim.attempt)
            )
        except asyncio.CancelledError:
            # This process stops: the next one takes the job with all its attempts.
            with suppress(Unavailable):
                await self.database.write(lambda connection: jobs.release(connection, claim, self.clock.now()))
            raise
        finally:
            heartbeat.cancel()
            with suppress(asyncio.CancelledError):
                await heartbeat
        return True

    async def _work(self, claim: Claim) -> None:
        material = await self.database.read(lambda connection: _load(connection, claim))
        outcome = await self._ask(claim, material)
        match outcome:
            case Generated(drafts):
                await self._store(claim, material, drafts)
            case Retryable(reason, after):
                await self._give_back(claim, reason, self.clock.now() + (after or _backoff(claim.attempt)))
            case Unusable(reason):
                await self._give_back(claim, reason, None)
            case _:
                assert_never(outcome)

    async def _ask(self, claim: Claim, material: Material) -> Outcome:
        if not material.events:
            return Generated(())
        is_summary = claim.source_type is SourceType.SESSION_SUMMARY
        ask = self.provider.summarise if is_summary else self.provider.observe
        try:
            async with asyncio.timeout(_DEADLINE.total_seconds()):
                return await ask(material)
        except TimeoutError:
            return Retryable("the provider did not answer in time")
        except Exception as error:
            log.exception("the provider raised", extra={"action": "provider_raised", "job_id": str(claim.job_id)})
            return Retryable(f"the provider raised {type(error).__name__}")

    async def _store(self, claim: Claim, material: Material, drafts: Sequence[Draft]) -> None:
        now = self.clock.now()
        happened_at = material.events[-1].occurred_at if material.events else now
        if not await self.database.write(lambda connection: _replace(connection, claim, drafts, happened_at, now)):
            log.info("dropped a late answer", extra={"action": "claim_lost", "job_id": str(claim.job_id)})
            return
        self.ledger.succeeded(now)
        self.signals.generated(claim.project_id)

    async def _give_back(self, claim: Claim, reason: str, next_attempt_at: datetime | None) -> None:
        now = self.clock.now()
        await self.database.write(lambda connection: jobs.give_back(connection, claim, next_attempt_at, reason, now))
        self.ledger.failed(reason)
        is_over = next_attempt_at is None or claim.attempt >= claim.max_attempts
        log.warning(
            "generation did not succeed",
            extra={
                "action": "generation_failed" if is_over else "generation_retry",
                "job_id": str(claim.job_id),
                "attempt": claim.attempt,
                "reason": reason,
            },
        )

    async def _keep(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self.lease.total_seconds() / 3)
            with suppress(Unavailable):
                if not await self.database.write(
                    partial(jobs.heartbeat, claim=claim, until=self.clock.now() + self.lease)
                ):
                    return


def _load(connection: Connection, claim: Claim) -> Material:
    session = sessions.get(connection, claim.session_id)
    root = session.project_root if session else None
    return Material(tuple(_source(connection, claim)), root)


def _source(connection: Connection, claim: Claim) -> Sequence[Recorded]:
    match claim.source_type:
        case SourceType.SESSION_SUMMARY:
            return events.of_session(connection, claim.session_id)
        case SourceType.EVENT_BATCH:
            turn = turns.get(connection, claim.source_id)
            return () if turn is None or turn.is_private else events.of_turn(connection, turn.id)
        case _:
            assert_never(claim.source_type)


def _replace(
    connection: Connection, claim: Claim, drafts: Sequence[Draft], happened_at: datetime, now: datetime
) -> bool:
    """Finish the job and put the drafts in the place of what was generated from its source before."""
    if not jobs.complete(connection, claim, now):
        return False
    named = _named(claim, drafts)
    for observation_id, draft in named.items():
        observations.insert(
            connection,
            observation_id,
            claim.project_id,
            claim.session_id,
            claim.source_type,
            claim.source_id,
            draft,
            happened_at=happened_at,
            now=now,
        )
    if observations.supersede(connection, claim.source_type, claim.source_id, named) and not named:
        # Perhaps the turn turned out to be private.
        observations.forget_words(connection)
    sessions.mark_generated(connection, claim.session_id, now)
    if claim.source_type is SourceType.EVENT_BATCH:
        jobs.queue(connection, claim.project_id, claim.session_id, SourceType.SESSION_SUMMARY, claim.session_id, now)
    return True


def _named(claim: Claim, drafts: Sequence[Draft]) -> dict[ObservationId, Draft]:
    """Give each draft the id that the same content of the same source always has."""
    named: dict[ObservationId, Draft] = {}
    seen: Counter[str] = Counter()
    for draft in drafts:
        content = digest(json.dumps(asdict(draft), sort_keys=True, default=str))
        seen[content] += 1
        identity = derived_id("observation", claim.source_type, claim.source_id, content, seen[content])
        named[ObservationId(identity)] = draft
    return named


def _backoff(attempt: int) -> timedelta:
    base = _BACKOFF[min(attempt, len(_BACKOFF)) - 1]
    return base * random.uniform(0.75, 1.25)
