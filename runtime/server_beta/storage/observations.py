"""Observations and where they came from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from ..domain.errors import NotFound
from ..domain.ids import EventId, ObservationId, ProjectId, SessionId, TeamId, new_id
from ..domain.observation_ids import ObservationIds
from ..domain.observations import Draft, Observation, content_of
from ..domain.records import Hit, ObservationFilter, SearchRequest
from . import records
from .database import Connection

# An entry of the index on files holds 2.7 kB.
_MOST_PATH_BYTES = 2_500


async def upsert(
    connection: Connection,
    team_id: TeamId,
    project_id: ProjectId,
    session_id: UUID | None,
    draft: Draft,
    *,
    generation_key: str | None,
    happened_at: datetime,
) -> Observation:
    """Store a draft, or return what its generation key stored before."""
    row = await connection.row(
        "observations/upsert",
        new_id(),
        project_id,
        team_id,
        session_id,
        *_members(draft),
        generation_key,
        happened_at,
    )
    assert row is not None
    return records.observation(row)


async def insert(
    connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId | None, draft: Draft
) -> Observation:
    """Store what a client wrote itself; raises NotFound without the project, or the session in it."""
    try:
        row = await connection.row("observations/insert", new_id(), project_id, team_id, session_id, *_members(draft))
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound from error
    assert row is not None
    return records.observation(row)


async def hold(
    connection: Connection, team_id: TeamId, only: ProjectId | None, observation_id: ObservationId
) -> Observation | None:
    """Return an observation that nobody else can change until the transaction ends."""
    row = await connection.row("observations/hold", team_id, only, observation_id)
    return records.observation(row) if row else None


async def update(connection: Connection, observation: Observation, draft: Draft) -> Observation:
    """Write a changed observation; raises NotFound when it is not there."""
    row = await connection.row(
        "observations/update", observation.team_id, observation.project_id, observation.id, *_members(draft)
    )
    if row is None:
        raise NotFound
    return records.observation(row)


async def delete(connection: Connection, observation: Observation) -> bool:
    """Delete an observation and its sources; false when it is not there."""
    row = await connection.row("observations/delete", observation.team_id, observation.project_id, observation.id)
    return row is not None


async def link(
    connection: Connection, observation: Observation, source_type: str, source_id: UUID, job_id: UUID | None
) -> None:
    """Tie an observation to its source, once.

    Raises NotFound when the observation is gone, or its project has no such event or session.
    """
    try:
        row = await connection.row(
            "observations/link",
            observation.id,
            observation.project_id,
            observation.team_id,
            source_type,
            source_id,
            job_id,
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("The source of this observation is gone.") from error
    if row is None:
        raise NotFound("The observation is gone.")


async def supersede(
    connection: Connection,
    team_id: TeamId,
    project_id: ProjectId,
    source_type: str,
    source_id: UUID,
    keep: Collection[UUID],
) -> int:
    """Delete what earlier generations made of a source and this one did not; returns how many."""
    return await connection.run("observations/supersede", team_id, project_id, source_type, source_id, list(keep))


async def get(connection: Connection, team_id: TeamId, observation_id: ObservationId) -> Observation | None:
    """Return an observation of the team."""
    row = await connection.row("observations/get", team_id, observation_id)
    return records.observation(row) if row else None


async def named(
    connection: Connection, team_id: TeamId, only: ProjectId | None, ids: ObservationIds, most: int
) -> Sequence[Observation]:
    """Return the observations of these ids, oldest first; a short id may name several."""
    rows = await connection.rows("observations/named", team_id, only, list(ids.whole), list(ids.short), most)
    return [records.observation(row) for row in rows]


async def around(
    connection: Connection, team_id: TeamId, anchor: Observation, before: int, after: int
) -> Sequence[Observation]:
    """Return an observation amid its neighbours in its project, oldest first."""
    rows = await connection.rows(
        "observations/around", team_id, anchor.project_id, anchor.created_at, anchor.id, before, after
    )
    return [records.observation(row) for row in rows]


async def list_filtered(connection: Connection, team_id: TeamId, wanted: ObservationFilter) -> Sequence[Observation]:
    """Return the team's observations that pass the filter, newest first."""
    created_at, last_id = wanted.after or (None, None)
    rows = await connection.rows(
        "observations/list",
        team_id,
        wanted.project_id,
        wanted.kind,
        wanted.session_id,
        wanted.since,
        wanted.until,
        created_at,
        last_id,
        wanted.limit,
    )
    return [records.observation(row) for row in rows]


async def recent(
    connection: Connection, team_id: TeamId, project_id: ProjectId, *, summaries: int, others: int
) -> Sequence[Observation]:
    """Return the newest summaries and the newest other observations of a project."""
    rows = await connection.rows("observations/recent", team_id, project_id, summaries, others)
    return [records.observation(row) for row in rows]


async def about_file(
    connection: Connection, team_id: TeamId, project_id: ProjectId, path: str, most: int
) -> Sequence[Observation]:
    """Return what changed a file before, newest first."""
    rows = await connection.rows("observations/about_file", team_id, project_id, path, most)
    return [records.observation(row) for row in rows]


async def of_event(
    connection: Connection, team_id: TeamId, project_id: ProjectId, event_id: EventId
) -> Sequence[Observation]:
    """Return what was generated from an event."""
    rows = await connection.rows("observations/of_event", team_id, project_id, event_id)
    return [records.observation(row) for row in rows]


async def search(connection: Connection, team_id: TeamId, request: SearchRequest) -> Sequence[Hit]:
    """Return the observations that match any word of the question, the best first."""
    rows = await connection.rows(
        "observations/search",
        team_id,
        request.project_id,
        request.query,
        request.limit,
        request.offset,
        list(request.kinds) if request.kinds is not None else None,
        request.since,
        request.until,
        list(request.files) if request.files is not None else None,
    )
    return [Hit(records.observation(row), float(row["score"]), row["snippet"]) for row in rows]


def _members(draft: Draft) -> tuple[object, ...]:
    return (
        draft.kind,
        draft.title,
        draft.subtitle,
        draft.narrative,
        list(draft.facts),
        list(draft.concepts),
        _indexable(draft.files_read),
        _indexable(draft.files_modified),
        draft.metadata,
        content_of(draft),
    )


def _indexable(paths: Collection[str]) -> list[str]:
    return [path for path in paths if len(path.encode()) <= _MOST_PATH_BYTES]
