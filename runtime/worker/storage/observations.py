"""Observations, and the words by which they are found."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from ..domain.ids import ObservationId, ProjectId, SessionId
from ..domain.jobs import SourceType
from ..domain.observation_ids import ObservationIds
from ..domain.observations import Draft, content_of
from ..domain.records import Hit, ObservationFilter, SearchRequest, Stored
from ..domain.terms import all_of, any_of, indexable, snippet, terms
from . import records
from .connection import Connection

_SEPARATOR = "\x1f"
_AROUND_A_PATH = "\"'`,;?!()[]{}<>"


def insert(
    connection: Connection,
    observation_id: ObservationId,
    project_id: ProjectId,
    session_id: SessionId,
    source_type: SourceType,
    source_id: UUID,
    draft: Draft,
    *,
    happened_at: datetime,
    now: datetime,
) -> None:
    """Store a draft and make it findable; one that is there already stays as it is."""
    is_new = connection.run(
        "observations/insert",
        id=observation_id,
        project_id=project_id,
        session_id=session_id,
        source_type=source_type.value,
        source_id=source_id,
        kind=draft.kind,
        title=draft.title,
        subtitle=draft.subtitle,
        narrative=draft.narrative,
        facts=draft.facts,
        concepts=draft.concepts,
        files_read=draft.files_read,
        files_modified=draft.files_modified,
        metadata=draft.metadata,
        happened_at=happened_at,
        now=now,
    )
    if is_new:
        _index(connection, observation_id, draft)


def supersede(connection: Connection, source_type: SourceType, source_id: UUID, keep: Collection[ObservationId]) -> int:
    """Delete what earlier generations made of a source and this one did not; returns how many."""
    kept = ",".join(("", *map(str, keep), ""))
    return connection.run("observations/supersede", source_type=source_type.value, source_id=source_id, keep=kept)


def forget_words(connection: Connection) -> None:
    """Make sure that no word of a deleted observation is left in the index, nor anything of it in the log."""
    connection.run("observations/compact_words")
    connection.forget()


def get(connection: Connection, observation_id: ObservationId) -> Stored | None:
    """Return the observation of that id."""
    row = connection.row("observations/get", id=observation_id)
    return records.stored(row) if row else None


def named(connection: Connection, ids: ObservationIds, most: int) -> Sequence[Stored]:
    """Return the observations of these ids, oldest first; a short id may name several."""
    rows = [row for whole in ids.whole if (row := connection.row("observations/get", id=whole)) is not None]
    for short in ids.short:
        rows += connection.rows("observations/named", short_id=short, limit=most)
    found = {row["sequence"]: records.stored(row) for row in rows}
    return sorted(found.values(), key=lambda one: (one.observation.created_at, one.sequence))[:most]


def around(connection: Connection, anchor: Stored, before: int, after: int) -> Sequence[Stored]:
    """Return an observation amid its neighbours in its project, oldest first."""
    rows = connection.rows(
        "observations/around",
        project_id=anchor.observation.project_id,
        created_at=anchor.observation.created_at,
        sequence=anchor.sequence,
        before=before,
        after=after,
    )
    return [records.stored(row) for row in rows]


def listed(connection: Connection, wanted: ObservationFilter) -> Sequence[Stored]:
    """Return the observations that pass the filter, newest first."""
    created_at, sequence = wanted.after or (None, None)
    rows = connection.rows(
        "observations/list",
        project_id=wanted.project_id,
        kind=wanted.kind,
        session_id=wanted.session_id,
        since=wanted.since,
        until=wanted.until,
        after_created_at=created_at,
        after_sequence=sequence,
        limit=wanted.limit,
    )
    return [records.stored(row) for row in rows]


def recent(
    connection: Connection,
    project_id: ProjectId,
    *,
    are_summaries: bool,
    limit: int,
    since: datetime | None = None,
    but: SessionId | None = None,
) -> Sequence[Stored]:
    """Return a project's newest summaries or its newest other observations."""
    rows = connection.rows(
        "observations/recent",
        project_id=project_id,
        are_summaries=are_summaries,
        since=since,
        but=but,
        limit=limit,
    )
    return [records.stored(row) for row in rows]


def about_file(connection: Connection, project_id: ProjectId, path: str, limit: int) -> Sequence[Stored]:
    """Return what changed a file before, newest first."""
    rows = connection.rows("observations/about_file", project_id=project_id, path=path, limit=limit)
    return [records.stored(row) for row in rows]


def search(connection: Connection, request: SearchRequest) -> Sequence[Hit]:
    """Return the observations that match any word of the question, the best first."""
    wanted = terms(request.query)
    if not wanted:
        return []
    rows = connection.rows(
        "observations/search",
        any_term=any_of(wanted),
        all_terms=all_of(wanted),
        words=_joined(tuple(word.strip(_AROUND_A_PATH).rstrip(".:") for word in request.query.split())),
        project_id=request.project_id,
        kinds=_joined(request.kinds),
        since=request.since,
        until=request.until,
        files=_joined(request.files),
        limit=request.limit,
        offset=request.offset,
    )
    return [_hit(records.stored(row), row["score"], wanted) for row in rows]


def _hit(found: Stored, score: float, wanted: tuple[str, ...]) -> Hit:
    observation = found.observation
    return Hit(observation, score, snippet(content_of(observation.draft), wanted))


def _index(connection: Connection, observation_id: ObservationId, draft: Draft) -> None:
    summary = " ".join(text for text in draft.metadata.values() if isinstance(text, str))
    connection.run(
        "observations/insert_words",
        id=observation_id,
        title=indexable(draft.title),
        files=indexable(" ".join((*draft.files_modified, *draft.files_read))),
        subtitle=indexable(draft.subtitle),
        facts=indexable("\n".join(draft.facts)),
        concepts=indexable(" ".join(draft.concepts)),
        narrative=indexable(f"{draft.narrative}\n{summary}"),
    )
    for is_modified, paths in ((True, draft.files_modified), (False, draft.files_read)):
        for path in paths:
            connection.run("observations/insert_file", id=observation_id, path=path, is_modified=is_modified)


def _joined(words: tuple[str, ...]) -> str | None:
    return _SEPARATOR.join(("", *words, "")) if words else None
