"""Delete what a project remembers, kind by kind; the project, its keys, its audit log and its usage stay."""

from __future__ import annotations

from ..domain.ids import ProjectId, TeamId
from ..domain.purge import Purged
from .database import Connection

# What is made of others goes before them, so that no delete has to go on to many rows; sessions go last.
KINDS = ("observations", "events", "jobs", "sessions")


async def hold(connection: Connection, team_id: TeamId, project_id: ProjectId) -> bool:
    """Keep everybody from writing into a project until the transaction ends; false when it is not there."""
    return await connection.row("purge/hold", team_id, project_id) is not None


async def delete(
    connection: Connection, team_id: TeamId, project_id: ProjectId, kind: str, at_most: int | None
) -> Purged:
    """Delete rows of a kind and say how many there were, those that had to go with them included."""
    row = await connection.row(f"purge/{kind}", team_id, project_id, at_most)
    assert row is not None
    return Purged(**dict(row))
