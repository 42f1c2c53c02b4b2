"""Generate observations from a claimed job: claim, load, ask the provider, store. No transaction spans the provider."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

import structlog

from ..domain.errors import Unavailable
from ..domain.ids import EventId, derived_id, digest
from ..domain.jobs import Claim, JobStatus, Message, SourceType
from ..domain.observations import Draft, content_of
from ..domain.ports import Clock, Generated, Outcome, Provider, Retryable, Unusable
from ..domain.turns import Material, Recorded
from ..storage import events, jobs, observations, sessions
from ..storage.database import Connection, Database
from .ledger import Ledger
from .relay import Relay
from .signals import Signals

log = structlog.get_logger()

LEASE = timedelta(seconds=60)
_DEADLINE = timedelta(seconds=120)
_RELEASE_SECONDS = 1.0
# Waits before the second and third attempt, each varied by up to a quarter so that jobs do not come back in step.
_BACKOFF = (timedelta(seconds=2), timedelta(seconds=15), timedelta(seconds=60))
# Named by the envelope of a turn, not by anything that happened in it.
_ENVELOPE = frozenset({"SessionStart", "SessionEnd"})


@dataclass(frozen=True, slots=True)
class _Input:
    material: Material
    source_id: UUID
    happened_at: datetime
    is_private: bool = False

    @property
    def covered_events(self) -> int:
        return sum(event.event_type not in _ENVELOPE for event in self.material.events)


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
        source = await self._load(claim)
        outcome = await self._ask(claim, source)
        match outcome:
            case Generated(drafts):
                await self._store(claim, source, drafts)
                self.ledger.succeeded(self.clock.now())
            case Retryable(reason, after):
                await self._give_back(claim, reason, after or _backoff(claim.attempt))
            case Unusable(reason):
                await self._give_back(claim, reason, None)
            case _:
                assert_never(outcome)

    async def _load(self, claim: Claim) -> _Input:
        async with self.database.connection() as connection:
            if claim.session_id is None or claim.source_type is SourceType.AGENT_EVENT:
                return await self._load_event(connection, claim)
            session = await sessions.get(connection, claim.team_id, claim.session_id)
            root = session.project_root if session else None
            if claim.turn_key is not None:
                turn, is_private = await events.of_turn(
                    connection, claim.team_id, claim.project_id, claim.session_id, claim.turn_key
                )
                if is_private:
                    # An event that was stored in the same moment as the private prompt was not yet known to be private.
                    await events.blank_turn(
                        connection, claim.team_id, claim.project_id, claim.session_id, claim.turn_key
                    )
                return self._input(turn, root, derived_id("turn", claim.session_id, claim.turn_key), is_private)
            whole = await events.of_session(connection, claim.team_id, claim.project_id, claim.session_id)
            return self._input(whole, root, claim.session_id, is_private=False)

    async def _load_event(self, connection: Connection, claim: Claim) -> _Input:
        event = await events.get(connection, claim.team_id, EventId(claim.source_id))
        if event is None:
            return self._input((), None, claim.source_id, is_private=False)
        recorded = Recorded(event.event_type, event.payload, event.occurred_at)
        return self._input((recorded,), None, event.id, bool(event.metadata.get("private")))

    def _input(self, recorded: Sequence[Recorded], root: str | None, source_id: UUID, is_private: bool) -> _Input:
        now = self.clock.now()
        # What a client dates into the future would be the newest of all for ever.
        last = min(recorded[-1].occurred_at, now) if recorded else now
        return _Input(Material(tuple(recorded), root), source_id, last, is_private)

    async def _ask(self, claim: Claim, source: _Input) -> Outcome:
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

    async def _store(self, claim: Claim, source: _Input, drafts: tuple[Draft, ...]) -> None:
        summary: Message | None = None
        async with self.database.transaction() as connection:
            if claim.session_id is not None:
                # Two batches of a turn may be worked on at once; one of them has to see what the other has stored.
                await sessions.lock(connection, claim.team_id, claim.project_id, claim.session_id)
            if not await jobs.complete(connection, claim, source.covered_events):
                log.info("dropped a late answer", action="claim_lost", job_id=str(claim.job_id))
                return
            if not await jobs.is_outdone(connection, claim, source.covered_events):
                await self._store_drafts(connection, claim, source, drafts)
            if claim.session_id is not None and claim.source_type is not SourceType.AGENT_EVENT:
                await sessions.mark_generated(connection, claim.team_id, claim.project_id, claim.session_id)
            if claim.source_type is SourceType.EVENT_BATCH and claim.session_id is not None:
                summary = await jobs.queue_summary(
                    connection,
                    claim.team_id,
                    claim.project_id,
                    claim.session_id,
                    after=claim.job_id,
                    request_id=claim.request_id,
                )
        self.signals.finished(claim.job_id)
        if summary is not None:
            self.relay.offer([summary])

    async def _store_drafts(
        self, connection: Connection, claim: Claim, source: _Input, drafts: tuple[Draft, ...]
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

    async def _give_back(self, claim: Claim, reason: str, wait: timedelta | None) -> None:
        async with self.database.connection() as connection:
            status = await jobs.retry_or_fail(connection, claim, wait, reason)
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
