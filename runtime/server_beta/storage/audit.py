"""The audit log: written in the transaction of what it records."""

from __future__ import annotations

from ..domain.ids import ProjectId, TeamId, new_id
from .database import Connection


async def record(
    connection: Connection,
    team_id: TeamId,
    project_id: ProjectId | None,
    *,
    actor: str,
    action: str,
    resource_type: str,
    resource_id: object,
    request_id: str | None,
) -> None:
    """Add one row to the audit log."""
    await connection.run(
        "audit/insert", new_id(), team_id, project_id, actor, action, resource_type, str(resource_id), request_id
    )
