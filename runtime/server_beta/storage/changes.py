"""The log of changes, and the objects that changed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from ..domain.changes import ChangeKind, Entry, Position, Snapshot, Subject
from ..domain.ids import ProjectId, TeamId
from . import records
from .database import Connection


async def now(connection: Connection) -> Position:
    """Return the position of a reader that has seen everything that is committed."""
    row = await connection.row("changes/now")
    assert row is not None
    return Position(row["at"], Snapshot.parse(row["snapshot"]).cut())


async def between(
    connection: Connection,
    team_id: TeamId,
    only: ProjectId | None,
    kinds: Collection[ChangeKind],
    position: Position,
    most: int,
) -> list[Entry]:
    """Return what follows a position up to its later snapshot, in order."""
    rows = await connection.rows(
        "changes/between",
        team_id,
        only,
        [kind.value for kind in kinds],
        str(position.seen),
        str(position.seen.lowest),
        str(position.upto),
        position.after,
        most,
    )
    return [Entry(row["seq"], team_id, row["project_id"], ChangeKind(row["kind"]), row["subject_id"]) for row in rows]


async def subjects(connection: Connection, team_id: TeamId, entries: Collection[Entry]) -> dict[UUID, Subject]:
    """Return the rows that the entries tell of, as they are now; those that are gone are absent."""
    left = [entry for entry in entries if not entry.kind.is_deletion]
    jobs = {entry.subject_id for entry in left if entry.kind.is_of_job}
    sessions = {entry.subject_id for entry in left if entry.kind.is_of_session}
    observations = {entry.subject_id for entry in left} - jobs - sessions
    found: dict[UUID, Subject] = {}
    if observations:
        rows = await connection.rows("observations/by_ids", team_id, list(observations))
        found.update((row["id"], records.observation(row)) for row in rows)
    if sessions:
        rows = await connection.rows("sessions/by_ids", team_id, list(sessions))
        found.update((row["id"], records.session(row)) for row in rows)
    if jobs:
        rows = await connection.rows("jobs/by_ids", team_id, list(jobs))
        found.update((row["id"], records.job(row)) for row in rows)
    return found


async def prune(connection: Connection, older_than: timedelta, most: int) -> int:
    """Forget what changed long ago; returns how many entries."""
    return await connection.run("changes/prune", older_than, most)
