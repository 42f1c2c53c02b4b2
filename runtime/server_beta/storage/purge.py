"""Delete what a project remembers, kind by kind; the project, its keys, its audit log and its usage stay."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.ids import JobId, ProjectId, TeamId
from ..domain.jobs import Message, SourceType
from ..domain.purge import Purged
from .database import Connection

# What is made of others goes before them, so that no delete has to go on to many rows; sessions go last.
KINDS = ("observations", "events", "jobs", "sessions")


async def hold(connection: Connection, team_id: TeamId, project_id: ProjectId) -> bool:
    """Keep everybody from writing into a project until the transaction ends; false when it is not there."""
    return await connection.row("purge/hold", team_id, project_id) is not None


async def delete(
    connection: Connection, team_id: TeamId, project_id: ProjectId, kind: str, at_most: int | None
) -> tuple[Purged, Sequence[Message]]:
    """Delete rows of a kind and say how many there were, those that had to go with them included.

    The messages are those that the transport may still hold of jobs that are gone.
    """
    row = await connection.row(f"purge/{kind}", team_id, project_id, at_most)
    assert row is not None
    counted = {name: row[name] for name in row.keys() if not name.startswith("held_")}  # noqa: SIM118 - of a Record
    held = zip(row.get("held_ids") or (), row.get("held_types") or (), row.get("held_attempts") or (), strict=True)
    messages = [
        Message(JobId(job_id), team_id, project_id, SourceType(source_type).lane, attempts)
        for job_id, source_type, attempts in held
    ]
    return Purged(**counted), messages
