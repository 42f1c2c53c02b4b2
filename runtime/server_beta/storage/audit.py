"""The audit log: written in the transaction of what it records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..domain.audit import AuditEntry, AuditFilter
from ..domain.ids import ApiKeyId, ProjectId, TeamId, new_id
from . import records
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
    api_key_id: ApiKeyId | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Add one row to the audit log; `details` hold no secret and no private text."""
    await connection.run(
        "audit/insert",
        new_id(),
        team_id,
        project_id,
        actor,
        action,
        resource_type,
        str(resource_id),
        request_id,
        api_key_id,
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
