"""Sessions of agents."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from ..domain.errors import NotFound
from ..domain.ids import ProjectId, SessionId, TeamId, new_id
from ..domain.records import NewSession, Session
from . import records
from .database import Connection


async def find_or_create(connection: Connection, team_id: TeamId, new: NewSession) -> tuple[Session, bool]:
    """Return the session of (project, platform, external id), and whether it was made now.

    Raises NotFound when the team has no such project (any more).
    """
    session_id = new_id()
    try:
        row = await connection.row(
            "sessions/find_or_create",
            session_id,
            new.project_id,
            team_id,
            new.external_session_id,
            new.content_session_id,
            new.agent_id,
            new.agent_type,
            new.platform_source,
            new.project_root,
            new.metadata or {},
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("The project of this session was deleted.") from error
    if row is None:
        raise NotFound("The project of this session was deleted.")
    return records.session(row), row["id"] == session_id


async def get(connection: Connection, team_id: TeamId, session_id: SessionId) -> Session | None:
    """Return a session of the team."""
    row = await connection.row("sessions/get", team_id, session_id)
    return records.session(row) if row else None


async def by_content_id(
    connection: Connection, team_id: TeamId, project_id: ProjectId, platform: str, content_id: str
) -> Session | None:
    """Return the newest session that a client knows under its own id."""
    row = await connection.row("sessions/by_content_id", project_id, team_id, platform, content_id)
    return records.session(row) if row else None


async def newest_of_client(
    connection: Connection, team_id: TeamId, only: ProjectId | None, platform: str, external_id: str
) -> Session | None:
    """Return the newest session that a client knows under its own id, in whichever project of the team."""
    row = await connection.row("sessions/newest_of_client", team_id, only, platform, external_id)
    return records.session(row) if row else None


async def end(connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId) -> Session | None:
    """End a session, once; None when it has ended before, or is not there."""
    row = await connection.row("sessions/end", team_id, project_id, session_id)
    return records.session(row) if row else None


async def owe_context(connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId) -> bool:
    """Remember that the client started without its context; false when there is no such session."""
    return await connection.run("sessions/owe_context", team_id, project_id, session_id) > 0


async def settle_context(connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId) -> bool:
    """Take over the delivery of an owed context; of several that try, one succeeds."""
    return await connection.row("sessions/settle_context", team_id, project_id, session_id) is not None


async def mark_generated(connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId) -> bool:
    """Note that something was generated from a session just now; false when there is no such session."""
    return await connection.run("sessions/mark_generated", team_id, project_id, session_id) > 0


async def lock(connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: UUID) -> None:
    """Let nobody else store what was learned from this session until the transaction ends."""
    await connection.run("sessions/lock", team_id, project_id, session_id)


async def delete(connection: Connection, team_id: TeamId, project_id: ProjectId, session_id: SessionId) -> bool:
    """Delete a session and all that was recorded and learned in it; false when there is no such session."""
    return await connection.row("sessions/delete", team_id, project_id, session_id) is not None
