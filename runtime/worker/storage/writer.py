"""The one writer: a thread that owns the connection that writes, and shares each commit among all who wait."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ..domain.errors import Unavailable
from .connection import Connection, is_passing

T = TypeVar("T")

_MOST_IN_A_COMMIT = 256


@dataclass(frozen=True, slots=True)
class _Submission:
    work: Callable[[Connection], Any]
    done: Future[Any]


class Writer:
    """Runs submitted work in order. Each piece is all or nothing; pieces that wait together commit together.

    `is_storing` is false from a commit that failed to the next one that changed something.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._raw = connection
        self._connection = Connection(connection)
        self._submissions: queue.SimpleQueue[_Submission | None] = queue.SimpleQueue()
        self._is_closed = False
        self.is_storing = True
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Queue work; its future is done once the work is durable. A future that is cancelled in time is not begun."""
        done: Future[T] = Future()
        if self._is_closed:
            done.set_exception(Unavailable("The worker is stopping; try again."))
        else:
            self._submissions.put(_Submission(work, done))
        return done

    def close(self) -> None:
        """Finish what was submitted, then close the connection; blocks until that is done."""
        self._is_closed = True
        self._submissions.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group, is_last = self._next_group()
            begun = [submission for submission in group if submission.done.set_running_or_notify_cancel()]
            if begun:
                self._commit(begun)
                self._empty_log()
        self._raw.close()

    def _next_group(self) -> tuple[list[_Submission], bool]:
        group: list[_Submission] = []
        waiting = self._submissions.get()
        while waiting is not None:
            group.append(waiting)
            if len(group) == _MOST_IN_A_COMMIT:
                return group, False
            try:
                waiting = self._submissions.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Submission]) -> None:
        outcomes: list[_Outcome] = []
        changes = self._raw.total_changes
        try:
            self._raw.execute("BEGIN IMMEDIATE")
            outcomes.extend(self._attempt(submission.work) for submission in group)
            self._raw.execute("COMMIT")
        except Exception as error:
            # A full disk or a locked file: nothing of this group is stored, and everyone is told so.
            with suppress(sqlite3.Error):
                self._raw.execute("ROLLBACK")
            self.is_storing = False
            failure = _ours(error)
            for submission in group:
                submission.done.set_exception(failure)
            return
        self.is_storing = self.is_storing or self._raw.total_changes > changes
        for submission, outcome in zip(group, outcomes, strict=True):
            if outcome.error is None:
                submission.done.set_result(outcome.value)
            else:
                submission.done.set_exception(outcome.error)

    def _empty_log(self) -> None:
        """Take what was forgotten out of the log too; a reader in the way puts that off to the next commit."""
        if self._connection.has_forgotten:
            with suppress(sqlite3.Error):
                (is_busy, *_) = self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._connection.has_forgotten = bool(is_busy)

    def _attempt(self, work: Callable[[Connection], Any]) -> _Outcome:
        self._raw.execute("SAVEPOINT piece")
        try:
            outcome = _Outcome(value=work(self._connection))
        except Exception as error:
            if not self._raw.in_transaction:
                # SQLite has given up the whole transaction, the neighbours' work included.
                raise
            self._raw.execute("ROLLBACK TO piece")
            outcome = _Outcome(error=_ours(error))
        self._raw.execute("RELEASE piece")
        return outcome


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: Exception | None = None


def _ours(error: Exception) -> Exception:
    if not is_passing(error):
        return error
    unavailable = Unavailable()
    unavailable.__cause__ = error
    return unavailable
