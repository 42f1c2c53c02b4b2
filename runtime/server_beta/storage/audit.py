"""The audit log: written in the transaction of what it records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..domain.audit import Actor, AuditEntry, AuditFilter
from ..domain.ids import ProjectId, TeamId, new_id
from . import records
from .database import Connection


async def record(
    connection: Connection,
    actor: Actor,
    project_id: ProjectId | None,
    *,
    action: str,
    resource_type: str,
    resource_id: object,
    request_id: str | None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Add one row to the audit log; `details` hold no secret and no private text."""
    await connection.run(
        "audit/insert",
        new_id(),
        actor.team_id,
        project_id,
        actor.actor,
        action,
        resource_type,
        str(resource_id),
        request_id,
        actor.key_id,
        details or {},
    )


async def page(
    connection: Connection, team_id: TeamId, only: ProjectId | None, wanted: AuditFilter
) -> Sequence[AuditEntry]:
    """Return up to one more than `limit` rows, so that the caller can tell whether there is another page."""
    rows = await connection.rows(
        "audit/list",
        team_id,
        only,
        wanted.action,
        wanted.resource_type,
        wanted.resource_id,
        wanted.actor,
        wanted.since,
        wanted.until,
        *(wanted.after or (None, None)),
        wanted.limit + 1,
    )
    return [records.audit_entry(row) for row in rows]
