"""Group commit: requests that arrive while a write is in flight share the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.errors import Unavailable
from ..storage import events
from ..storage.database import Database
from ..storage.events import Write, Written

_MOST_ROWS = 512
# Two statements may be in flight: one waits for the disk while the other is being parsed.
_IN_FLIGHT = 2


@dataclass(slots=True)
class _Submission:
    writes: Sequence[Write]
    done: asyncio.Future[list[Written]]


class GroupCommit:
    """Writes submissions in as few statements as keep up with them; each submission is all or nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Submission] = []
        self._flushes: set[asyncio.Task[None]] = set()

    async def write(self, writes: Sequence[Write]) -> list[Written]:
        """Store the events; returns one answer for each, once they are durable."""
        done: asyncio.Future[list[Written]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Submission(writes, done))
        self._flush()
        return await done

    def _flush(self) -> None:
        while self._waiting and len(self._flushes) < _IN_FLIGHT:
            group = self._next_group()
            task = asyncio.create_task(self._write_group(group))
            self._flushes.add(task)
            task.add_done_callback(self._flushed)

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._flushes.discard(task)
        self._flush()

    def _next_group(self) -> list[_Submission]:
        rows = taken = 0
        for submission in self._waiting:
            if taken and rows + len(submission.writes) > _MOST_ROWS:
                break
            rows += len(submission.writes)
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    async def _write_group(self, group: list[_Submission]) -> None:
        try:
            answers = await self._write(_distinct([write for submission in group for write in submission.writes]))
        except Exception as error:
            # One bad submission must not fail its neighbours; a database that is away fails them all alike.
            if len(group) > 1 and not isinstance(error, Unavailable):
                for submission in group:
                    await self._write_group([submission])
                return
            for submission in group:
                if not submission.done.done():
                    submission.done.set_exception(error)
            return
        told: set[str] = set()
        for submission in group:
            # Also for one whose caller has gone: what it stored is new to nobody who comes after it.
            written = [_first_only(answers, write, told) for write in submission.writes]
            if not submission.done.done():
                submission.done.set_result(written)

    async def _write(self, writes: Sequence[Write]) -> dict[str, Written]:
        async with self._database.connection() as connection:
            answers = dict(zip(_keys(writes), await events.ingest(connection, writes), strict=True))
            # Another process was storing the same event: it has committed by now, so that asking again finds it.
            for write in writes:
                if answers[write.idempotency_key].event_id is None:
                    answers[write.idempotency_key] = (await events.ingest(connection, [write]))[0]
        return answers


def _keys(writes: Sequence[Write]) -> list[str]:
    return [write.idempotency_key for write in writes]


def _distinct(writes: Sequence[Write]) -> list[Write]:
    first: dict[str, Write] = {}
    for write in writes:
        first.setdefault(write.idempotency_key, write)
    return list(first.values())


def _first_only(answers: dict[str, Written], write: Write, told: set[str]) -> Written:
    """Tell only the first of several identical events in a group that it was new."""
    answer = answers[write.idempotency_key]
    if write.idempotency_key in told:
        return Written(answer.event_id, False, answer.job_id, answer.job_source_type, answer.created_at)
    told.add(write.idempotency_key)
    return answer
