"""Broadcast changes: know every reader, wake those whom a change concerns, end those who may read no more.

What a reader is sent it reads from the database itself (see domain/changes.py); notifications only say when to look.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

import structlog

from ..domain.changes import KEPT, ChangeKind, Position
from ..domain.errors import NotFound, TooManyRequests, Unavailable
from ..domain.ids import ApiKeyId, JobId, ProjectId, TeamId
from ..domain.principals import Principal, Scope
from ..storage import changes, keys, tenants
from ..storage.database import Database
from ..storage.notifications import CHANGES, Listener
from .signals import Signals
from .subscription import Subscription

log = structlog.get_logger()

WEED_EVERY = timedelta(seconds=1)
PRUNE_EVERY = timedelta(minutes=5)

# How often a reader hears something even when nothing happens, and how long it may leave unread what it is sent.
_HEARTBEAT = timedelta(seconds=15)
_PATIENCE = timedelta(seconds=10)
_MOST_OF_A_KEY = 16
# A team has as many keys as it likes.
_MOST_OF_A_TEAM = 64
_MOST = 256
_READING_AT_ONCE = 2
_PRUNED_AT_ONCE = 10_000
_RETRY_AFTER_SECONDS = 5


HashableT = TypeVar("HashableT", bound=Hashable)


class Broadcaster:
    """The readers of changes that are connected to this process."""

    def __init__(
        self,
        database: Database,
        listener: Listener,
        signals: Signals,
        *,
        heartbeat: timedelta = _HEARTBEAT,
        patience: timedelta = _PATIENCE,
        most: int = _MOST,
        most_of_a_key: int = _MOST_OF_A_KEY,
        most_of_a_team: int = _MOST_OF_A_TEAM,
    ) -> None:
        self.heartbeat = heartbeat
        self.patience = patience
        self._database = database
        self._listener = listener
        self._signals = signals
        self._most = most
        self._most_of_a_key = most_of_a_key
        self._most_of_a_team = most_of_a_team
        self._subscriptions: set[Subscription] = set()
        self._of_keys: Counter[ApiKeyId | None] = Counter()
        self._of_teams: Counter[TeamId] = Counter()
        self._turns = asyncio.Semaphore(_READING_AT_ONCE)
        self._is_closed = False
        listener.listen(CHANGES, self.heard, self.look_again)

    @property
    def subscribers(self) -> int:
        """How many readers are connected."""
        return self._of_teams.total()

    @property
    def is_listening(self) -> bool:
        """Whether changes are heard of at once; otherwise they are found within five seconds."""
        return self._listener.is_listening

    @asynccontextmanager
    async def subscribe(
        self, principal: Principal, project_id: ProjectId | None, position: Position | None
    ) -> AsyncIterator[Subscription]:
        """Read changes within the block, from a position or from now on; the block may be interrupted at any await.

        Raises NotFound for a project that the caller does not see, TooManyRequests or Unavailable beyond the limits.
        """
        principal.require(Scope.OBSERVATIONS_READ)
        self._admit(principal)
        self._of_keys[principal.key_id] += 1
        self._of_teams[principal.team_id] += 1
        try:
            subscription = await self._open(principal, project_id, position)
            self._subscriptions.add(subscription)
            try:
                async with subscription.lifetime:
                    if self._is_closed:
                        subscription.end()
                    yield subscription
            except TimeoutError:
                if not subscription.lifetime.expired():
                    raise
            finally:
                self._subscriptions.discard(subscription)
        finally:
            _leave(self._of_keys, principal.key_id)
            _leave(self._of_teams, principal.team_id)

    def heard(self, payload: str) -> None:
        """Wake whom a change concerns: `<team> <project> <kind>`, and the job where it is one of a job."""
        team_id, project_id, *what = (*payload.split(" "), "", "")
        for subscription in self._subscriptions:
            if subscription.wants(team_id, project_id):
                subscription.wake()
        if what[0].startswith("job.") and what[1]:
            try:
                self._signals.finished(JobId(UUID(what[1])))
            except ValueError:
                log.warning("heard what nobody of us says", action="notification_odd")

    def look_again(self) -> None:
        """Wake everybody: nobody listened for a while."""
        self._signals.look_again()
        for subscription in self._subscriptions:
            subscription.wake()

    async def weed(self) -> None:
        """End the readers whose key was revoked, has expired or is gone."""
        used = {one.key_id for one in self._subscriptions if one.key_id is not None}
        if not used:
            return
        async with self._database.connection() as connection:
            usable = await keys.usable(connection, used)
        for subscription in tuple(self._subscriptions):
            if subscription.key_id in used - usable:
                subscription.end()

    async def prune(self) -> None:
        """Forget changes that nobody may ask for any more."""
        pruned = _PRUNED_AT_ONCE
        while pruned == _PRUNED_AT_ONCE:
            async with self._database.connection() as connection:
                pruned = await changes.prune(connection, KEPT, _PRUNED_AT_ONCE)

    def close(self) -> None:
        """End every reader at once, and whoever still comes: this process stops."""
        self._is_closed = True
        for subscription in tuple(self._subscriptions):
            subscription.end()

    def _admit(self, principal: Principal) -> None:
        if self._of_keys[principal.key_id] >= self._most_of_a_key:
            raise TooManyRequests(
                f"This API key has {self._most_of_a_key} streams open already; close one.", _RETRY_AFTER_SECONDS
            )
        if self._of_teams[principal.team_id] >= self._most_of_a_team:
            raise TooManyRequests(
                f"This team has {self._most_of_a_team} streams open already; close one.", _RETRY_AFTER_SECONDS
            )
        if self.subscribers >= self._most:
            raise Unavailable("This server has as many streams open as it can serve; try again later.")

    async def _open(
        self, principal: Principal, project_id: ProjectId | None, position: Position | None
    ) -> Subscription:
        only = principal.project_id if project_id is None else project_id
        async with self._database.connection() as connection:
            if only is not None:
                principal.require_project(only)
                if await tenants.project_by_id(connection, principal.team_id, only) is None:
                    raise NotFound
            begin = position or await changes.now(connection)
        sees_jobs = not principal.scopes.isdisjoint({Scope.JOBS_READ, Scope.ADMIN})
        return Subscription(
            self._database,
            self._turns,
            principal.team_id,
            only,
            principal.key_id,
            frozenset(kind for kind in ChangeKind if sees_jobs or not kind.is_of_job),
            begin,
        )


def _leave(present: Counter[HashableT], who: HashableT) -> None:
    present[who] -= 1
    if not present[who]:
        del present[who]
