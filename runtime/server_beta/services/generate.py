"""Generate observations from a claimed job: claim, load, ask the provider, store. No transaction spans the provider."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never
from uuid import UUID

import structlog

from ..domain.audit import SystemActor
from ..domain.errors import Unavailable
from ..domain.ids import digest
from ..domain.jobs import Claim, JobStatus, Message, SourceType
from ..domain.observations import Draft, content_of
from ..domain.ports import Clock, Generated, Outcome, Provider, Retryable, Unusable
from ..domain.privacy import protect_text
from ..domain.text import cap
from ..storage import audit, job_operations, jobs, observations, sessions, usage
from ..storage.database import Connection, Database
from .ledger import Ledger
from .load_material import Source, load_material
from .refuse import ACTOR, refuse_foreign, refuse_revoked
from .relay import Relay
from .signals import Signals

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
_DEADLINE = timedelta(seconds=120)
_RELEASE_SECONDS = 1.0
# Waits before the second and third attempt, each varied by up to a quarter so that jobs do not come back in step.
_BACKOFF = (timedelta(seconds=2), timedelta(seconds=15), timedelta(seconds=60))
# Longer reasons are cut: they are read in lists.
_MOST_REASON = 500


@dataclass(frozen=True, slots=True)
class Generate:
    """Works on one delivered job at a time; a delivery that is late, doubled or foreign changes nothing."""

    database: Database
    provider: Provider
    relay: Relay
    signals: Signals
    ledger: Ledger
    clock: Clock
    who: str
    lease: timedelta = LEASE

    async def run(self, message: Message) -> None:
        """Generate for the job that the message names, if it is there to be claimed."""
        async with self.database.connection() as connection:
            claim = await jobs.claim(connection, message, self.who, self.lease)
        if claim is None:
            await refuse_foreign(self.database, message)
            return
        if claim.is_key_revoked:
            if await refuse_revoked(self.database, claim):
                self.signals.finished(claim.job_id)
            return
        heartbeat = asyncio.create_task(self._keep(claim))
        try:
            await self._work(claim)
        except Unavailable:
            raise
        except Exception as error:
            # What the store refuses now it refuses again: said in the row, and tried no more often than anything else.
            kind = type(error).__name__
            log.error("a job failed unexpectedly", action="job_failed", job_id=str(claim.job_id), error=kind)
            await self._give_back(claim, f"storing failed with {kind}", _backoff(claim.attempt))
        except asyncio.CancelledError:
            # This process stops: the next one takes the job at once instead of after the lease.
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(_RELEASE_SECONDS), self.database.connection() as connection:
                    await jobs.release(connection, claim)
            raise
        finally:
            heartbeat.cancel()
            with suppress(asyncio.CancelledError):
                await heartbeat

    async def _work(self, claim: Claim) -> None:
        async with self.database.connection() as connection:
            source = await load_material(connection, claim, self.clock.now())
        outcome = await self._ask(claim, source)
        match outcome:
            case Generated():
                await self._store(claim, source, outcome)
                self.ledger.succeeded(self.clock.now())
            case Retryable(reason, after):
                await self._give_back(claim, reason, after or _backoff(claim.attempt))
            case Unusable(reason):
                await self._give_back(claim, reason, None)
            case _:
                assert_never(outcome)

    async def _ask(self, claim: Claim, source: Source) -> Outcome:
        if source.is_private or not source.material.events:
            return Generated(())
        ask = self.provider.summarise if claim.source_type is SourceType.SESSION_SUMMARY else self.provider.observe
        try:
            async with asyncio.timeout(_DEADLINE.total_seconds()):
                return await ask(source.material)
        except TimeoutError:
            return Retryable("the provider did not answer in time")
        except Exception as error:
            kind = type(error).__name__
            log.error("the provider raised", action="provider_raised", job_id=str(claim.job_id), error=kind)
            return Retryable(f"the provider raised {kind}")

    async def _store(self, claim: Claim, source: Source, generated: Generated) -> None:
        summary: Message | None = None
        async with self.database.transaction() as connection:
            if not await self._finish(connection, claim, source):
                log.info("dropped a late answer", action="claim_lost", job_id=str(claim.job_id))
                return
            if generated.spent is not None:
                await usage.record(connection, claim, generated.spent)
            if not await jobs.is_outdone(connection, claim, source.covered_events):
                await self._store_drafts(connection, claim, source, generated.drafts)
            if claim.session_id is not None and claim.source_type is not SourceType.AGENT_EVENT:
                await sessions.mark_generated(connection, claim.team_id, claim.project_id, claim.session_id)
            if claim.source_type is SourceType.EVENT_BATCH and claim.session_id is not None:
                summary = await jobs.queue_summary(
                    connection,
                    claim.team_id,
                    claim.project_id,
                    claim.session_id,
                    after=claim.job_id,
                    key_id=claim.api_key_id,
                    request_id=claim.request_id,
                )
        log.info("generated", action="job_completed", attempt=claim.attempt, drafts=len(generated.drafts))
        self.signals.finished(claim.job_id)
        if summary is not None:
            self.relay.offer([summary])

    async def _finish(self, connection: Connection, claim: Claim, source: Source) -> bool:
        # Whatever is above the job is held before it: a delete takes them in the same order.
        if not await job_operations.hold_tenant(connection, claim.team_id, claim.project_id):
            return False
        if claim.session_id is not None:
            # Two batches of a turn may be worked on at once; one of them has to see what the other has stored.
            await sessions.lock(connection, claim.team_id, claim.project_id, claim.session_id)
        return await jobs.complete(connection, claim, source.covered_events)

    async def _store_drafts(
        self, connection: Connection, claim: Claim, source: Source, drafts: tuple[Draft, ...]
    ) -> None:
        kept: list[UUID] = []
        for index, draft in enumerate(drafts):
            observation = await observations.upsert(
                connection,
                claim.team_id,
                claim.project_id,
                claim.session_id,
                draft,
                generation_key=f"generation:v1:{claim.job_id}:{index}:{digest(draft.kind, content_of(draft))[:32]}",
                happened_at=source.happened_at,
            )
            await observations.link(connection, observation, claim.source_type.value, source.source_id, claim.job_id)
            kept.append(observation.id)
        await observations.supersede(
            connection, claim.team_id, claim.project_id, claim.source_type.value, source.source_id, kept
        )
        if kept:
            await audit.record(
                connection,
                SystemActor(claim.team_id, claim.api_key_id, ACTOR),
                claim.project_id,
                action="observation.generated",
                resource_type="job",
                resource_id=claim.job_id,
                request_id=claim.request_id,
                details={"observations": len(kept), "sourceType": claim.source_type.value, "attempt": claim.attempt},
            )

    async def _give_back(self, claim: Claim, said: str, wait: timedelta | None) -> None:
        # A provider's words may quote what it was sent; the row is read by people who may not see that.
        reason = cap(protect_text(said), _MOST_REASON)
        async with self.database.transaction() as connection:
            # Above the job first, as ever; without its project, the job is gone too.
            await job_operations.hold_tenant(connection, claim.team_id, claim.project_id)
            status = await jobs.retry_or_fail(connection, claim, wait, reason)
        if status is None:
            log.info("dropped a late failure", action="claim_lost", job_id=str(claim.job_id))
            return
        self.ledger.failed(reason)
        log.warning(
            "generation did not succeed",
            action="generation_failed" if status is JobStatus.FAILED else "generation_retry",
            job_id=str(claim.job_id),
            request_id=claim.request_id,
            attempt=claim.attempt,
            reason=reason,
        )
        if status is JobStatus.FAILED:
            self.signals.finished(claim.job_id)

    async def _keep(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self.lease.total_seconds() / 3)
            # A database that is away for a moment is back before the lease ends.
            with suppress(Unavailable):
                async with self.database.connection() as connection:
                    if not await jobs.heartbeat(connection, claim, self.lease):
                        return


def _backoff(attempt: int) -> timedelta:
    base = _BACKOFF[min(attempt, len(_BACKOFF)) - 1]
    return base * random.uniform(0.75, 1.25)
