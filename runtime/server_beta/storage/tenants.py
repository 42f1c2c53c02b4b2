"""Teams and projects."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.ids import ProjectId, TeamId, new_id
from ..domain.records import Project, Team
from . import records
from .database import Connection


async def ensure_team(connection: Connection, team_id: TeamId, name: str) -> None:
    """Make sure that a team exists, whoever else does so at the same time."""
    await connection.run("tenants/ensure_team", team_id, name)


async def team(connection: Connection, team_id: TeamId) -> Team | None:
    """Return one team."""
    row = await connection.row("tenants/teams", team_id)
    return records.team(row) if row else None


async def teams(connection: Connection) -> Sequence[Team]:
    """Return every team, the oldest first; for the operator alone."""
    return [records.team(row) for row in await connection.rows("tenants/teams", None)]


async def take_turns(connection: Connection) -> None:
    """Let nobody else make a team before this transaction ends."""
    await connection.run("tenants/take_turns")


async def lock_team(connection: Connection, team_id: TeamId) -> bool:
    """Take turns with others that do something once for a team; false when there is no such team."""
    return await connection.row("tenants/lock_team", team_id) is not None


async def find_or_create_project(connection: Connection, team_id: TeamId, key: str, name: str) -> tuple[Project, bool]:
    """Return the team's project of that key, and whether it was made now."""
    project_id = new_id()
    row = await connection.row("tenants/find_or_create_project", project_id, team_id, key, name)
    assert row is not None
    return records.project(row), row["id"] == project_id


async def project_by_key(connection: Connection, team_id: TeamId, key: str) -> Project | None:
    """Return the team's project of that key."""
    row = await connection.row("tenants/project_by_key", team_id, key)
    return records.project(row) if row else None


async def project_by_id(connection: Connection, team_id: TeamId, project_id: ProjectId) -> Project | None:
    """Return the team's project of that id."""
    row = await connection.row("tenants/project_by_id", team_id, project_id)
    return records.project(row) if row else None


async def projects(
    connection: Connection, team_id: TeamId, only: ProjectId | None, key: str | None, name: str | None
) -> Sequence[Project]:
    """Return the team's projects by name, narrowed to one id, key or name where given."""
    return [records.project(row) for row in await connection.rows("tenants/projects", team_id, only, key, name)]


async def delete_project(connection: Connection, team_id: TeamId, project_id: ProjectId) -> bool:
    """Delete a project and all that is in it; false when the team has none of that id.

    The team's audit log keeps what was done to the project. Of a project that remembers much, purge it first.
    """
    return await connection.row("tenants/delete_project", team_id, project_id) is not None


async def delete_team(connection: Connection, team_id: TeamId) -> bool:
    """Delete a team and all that it owns, its audit log included; false when there is none of that id.

    Its projects have to be deleted before, else it is false as well: whoever writes into a project may hold that
    before its team, and would meet a delete of both halfway. Call it in a transaction.
    """
    # In a statement of its own, because the next one sees the project that was being made meanwhile.
    await connection.row("tenants/hold_team", team_id)
    return await connection.row("tenants/delete_team", team_id) is not None
