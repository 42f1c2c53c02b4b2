"""Changes, and where a reader of them stands.

Whoever reads a log that many transactions write at once has no number to go by: ids, sequences and times are given
when a row is written, and a transaction that began earlier may commit later. A reader that remembers "all up to 17"
never sees the 16 that commits after it. Postgres knows better: a *snapshot* says which transactions are over. Each row
of `changes` carries its transaction, so that the rows between two snapshots are exactly those of the transactions that
ended in between. That set is complete and never changes, and every row is in one such set.

A `Position` is therefore two snapshots and a number: everything up to `seen` was read, and of what ended between that
and `upto` the rows up to the number `after`. Sending again and sending live are one and the same walk from position to
position: there is no seam between them where something could be lost or doubled. An open transaction holds nobody up:
the snapshot lists it as still running, and what it wrote comes in a later set. Only where more than MOST_RUNNING of
them write at once is the snapshot cut off at the first that it has no room for, as if no later one had begun.

The text of a position is the id of a server-sent event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Self
from uuid import UUID

from .ids import ProjectId, TeamId
from .observations import Observation
from .records import Job, Session

MOST_RUNNING = 32
# How far back a reader may begin, and for how much longer the rows stay. The difference outlasts every transaction:
# what one wrote is dated by its beginning, and becomes visible at its end.
REPLAYABLE = timedelta(hours=24)
KEPT = REPLAYABLE + timedelta(hours=1)

_MOST_CHARACTERS = 2 * MOST_RUNNING * 20 + 200
_TEXT = re.compile(r"(\d{1,12})-(\d{1,19}:\d{1,19}:[\d,]*)(?:-(\d{1,19}:\d{1,19}:[\d,]*)-(\d{1,18}))?", re.ASCII)
_RUNNING = re.compile(r"(?:\d{1,19}(?:,\d{1,19})*)?", re.ASCII)
# Postgres counts transactions in 64 bits and casts them to signed ones here and there.
_HIGHEST = 2**63 - 1


class ChangeKind(StrEnum):
    """What happened; the value is stored, and the name of the event on the wire."""

    OBSERVATION_CREATED = "observation.created"
    OBSERVATION_UPDATED = "observation.updated"
    OBSERVATION_DELETED = "observation.deleted"
    SUMMARY_CREATED = "summary.created"
    SUMMARY_UPDATED = "summary.updated"
    SUMMARY_DELETED = "summary.deleted"
    SESSION_STARTED = "session.started"
    SESSION_ENDED = "session.ended"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"

    @property
    def is_of_job(self) -> bool:
        """Whether it tells of a generation job, which not every reader may see."""
        return self.value.startswith("job.")

    @property
    def is_of_session(self) -> bool:
        """Whether it tells of a session."""
        return self.value.startswith("session.")

    @property
    def is_deletion(self) -> bool:
        """Whether there is nothing left to show but the id."""
        return self.value.endswith(".deleted")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions are over: all below `lowest`, none from `next` on, and between them all that do not run."""

    lowest: int
    next: int
    running: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read Postgres' own notation; raises ValueError for what Postgres would not have written."""
        lowest, following, listed = text.split(":")
        if _RUNNING.fullmatch(listed) is None:
            raise ValueError(text)
        snapshot = cls(int(lowest), int(following), tuple(int(one) for one in listed.split(",") if one))
        bounds = (snapshot.lowest, *snapshot.running, snapshot.next)
        is_ordered = all(one <= other for one, other in pairwise(bounds))
        is_distinct = len(set(snapshot.running)) == len(snapshot.running) and snapshot.next not in snapshot.running
        if not (snapshot.lowest > 0 and snapshot.next <= _HIGHEST and is_ordered and is_distinct):
            raise ValueError(text)
        return snapshot

    def cut(self) -> Self:
        """Return this snapshot, or the latest earlier one that lists no more than MOST_RUNNING transactions."""
        if len(self.running) <= MOST_RUNNING:
            return self
        return replace(self, next=self.running[MOST_RUNNING], running=self.running[:MOST_RUNNING])

    def __str__(self) -> str:
        return f"{self.lowest}:{self.next}:{','.join(map(str, self.running))}"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a reader has come; `at` is when `seen` was taken, in seconds since the epoch by the database's clock."""

    at: int
    seen: Snapshot
    upto: Snapshot | None = None
    after: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a position; raises ValueError for any other."""
        found = _TEXT.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
        if found is None:
            raise ValueError(text)
        at, seen, upto, after = found.groups()
        position = cls(int(at), Snapshot.parse(seen), Snapshot.parse(upto) if upto else None, int(after or 0))
        if any(len(one.running) > MOST_RUNNING for one in (position.seen, position.upto) if one is not None):
            raise ValueError(text)
        return position

    def is_beyond_replay(self, now: Position) -> bool:
        """Whether rows after it may be gone; or it is of another database, whose transactions are further on."""
        newest = max(self.seen.next, self.upto.next if self.upto is not None else 0)
        return now.at - self.at > REPLAYABLE.total_seconds() or newest > now.seen.next

    def __str__(self) -> str:
        return f"{self.at}-{self.seen}" + (f"-{self.upto}-{self.after}" if self.upto is not None else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log: what happened to which row, and nothing of what that row says."""

    seq: int
    team_id: TeamId
    project_id: ProjectId
    kind: ChangeKind
    subject_id: UUID


Subject = Observation | Session | Job


@dataclass(frozen=True, slots=True)
class Change:
    """A change as a reader is told of it: the subject as it is now, None where it was deleted."""

    entry: Entry
    subject: Subject | None
    position: Position


@dataclass(frozen=True, slots=True)
class Gap:
    """More happened than can be told: what the reader shows has to be read anew, and goes on from `position`."""

    position: Position
