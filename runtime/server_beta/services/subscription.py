"""One reader of changes: where it stands, what comes next, and when it is worth looking."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..domain.changes import Change, ChangeKind, Entry, Gap, Position
from ..domain.ids import ApiKeyId, ProjectId, TeamId
from ..storage import changes
from ..storage.database import Database

# A reader that is further behind than this is told to read anew instead: nobody wants to watch that many go by.
MOST_BEHIND = 1_000
# How many objects are in memory for a reader at a time.
_PAGE = 32
# For notifications that were lost.
_LOOK_AGAIN_SECONDS = 5.0
# Of a burst of notifications, one look is enough.
_REST_SECONDS = 0.05


@dataclass(eq=False, slots=True)
class Subscription:
    """Walks from position to position at its reader's pace; nothing is queued for a reader but the ids of one look."""

    database: Database
    # Shared by all readers, so that however many there are, most connections stay for requests.
    turns: asyncio.Semaphore
    team_id: TeamId
    only: ProjectId | None
    key_id: ApiKeyId | None
    kinds: frozenset[ChangeKind]
    position: Position
    lifetime: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _looked_at: float = 0.0
    _entries: list[Entry] = field(default_factory=list)
    _end: Position | None = None

    def wants(self, team_id: str, project_id: str) -> bool:
        """Whether a change of that project is one for this reader."""
        return team_id == str(self.team_id) and (self.only is None or project_id == str(self.only))

    def wake(self) -> None:
        """Tell that something may have changed."""
        self._woken.set()

    def end(self) -> None:
        """Interrupt the reader, whatever it waits for."""
        if not self.lifetime.expired():
            self.lifetime.reschedule(asyncio.get_running_loop().time())

    async def wait(self, seconds: float) -> bool:
        """Return whether it is worth looking, as soon as it is and after the time at the latest."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
                await asyncio.sleep(self._looked_at + _REST_SECONDS - time.monotonic())
        except TimeoutError:
            return time.monotonic() - self._looked_at >= _LOOK_AGAIN_SECONDS
        return True

    async def read(self) -> Sequence[Change] | Gap:
        """Return the next page of changes, nothing when there are none, or the gap that stands for too many.

        Raises Unavailable when the database does not answer; the position stays.
        """
        async with self.turns:
            if not self._entries and (gap := await self._look()) is not None:
                return gap
            return await self._turn_page() if self._entries else ()

    async def _look(self) -> Gap | None:
        self._woken.clear()
        self._looked_at = time.monotonic()
        async with self.database.connection() as connection:
            while not self._entries:
                now = await changes.now(connection)
                if self.position.is_beyond_replay(now):
                    return self._skip_to(now)
                is_resumed = self.position.upto is not None
                start = self.position if is_resumed else replace(self.position, upto=now.seen)
                if not is_resumed and now.seen == self.position.seen:
                    self.position = now
                    return None
                entries = await changes.between(connection, self.team_id, self.only, self.kinds, start, MOST_BEHIND + 1)
                if len(entries) > MOST_BEHIND:
                    return self._skip_to(now)
                assert start.upto is not None
                self._end = Position(start.at if is_resumed else now.at, start.upto)
                self._entries = entries
                self.position = start if entries else self._end
                if not is_resumed:
                    return None
        return None

    def _skip_to(self, now: Position) -> Gap:
        self.position = now
        return Gap(now)

    async def _turn_page(self) -> list[Change]:
        page = self._entries[:_PAGE]
        async with self.database.connection() as connection:
            found = await changes.subjects(connection, self.team_id, page)
        told: list[Change] = []
        for entry in page:
            self.position = replace(self.position, after=entry.seq)
            subject = found.get(entry.subject_id)
            if subject is not None or entry.kind.is_deletion:
                told.append(Change(entry, None if entry.kind.is_deletion else subject, self.position))
        del self._entries[:_PAGE]
        if not self._entries and self._end is not None:
            self.position = self._end
            if told:
                told[-1] = replace(told[-1], position=self.position)
        return told
