"""Whether what a request names as a filter is the caller's to see: what is another's does not exist."""

from __future__ import annotations

from ..domain.errors import NotFound
from ..domain.ids import ProjectId, SessionId
from ..domain.principals import Principal
from ..storage import sessions, tenants
from ..storage.database import Connection


async def require_project(connection: Connection, principal: Principal, project_id: ProjectId | None) -> None:
    """Raise NotFound for a project, where one is named, that the caller does not see."""
    if project_id is None:
        return
    principal.require_project(project_id)
    if await tenants.project_by_id(connection, principal.team_id, project_id) is None:
        raise NotFound


async def require_session(connection: Connection, principal: Principal, session_id: SessionId | None) -> None:
    """Raise NotFound for a session, where one is named, that the caller does not see."""
    if session_id is None:
        return
    session = await sessions.get(connection, principal.team_id, session_id)
    if session is None:
        raise NotFound
    principal.require_project(session.project_id)
