"""`/v1/audit`: who did what, for those who may see everything."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from ..domain import audit
from ..domain.audit import AuditFilter
from ..domain.ids import ProjectId
from .cursors import read_cursor, write_cursor
from .exchange import Answer, Exchange
from .fields import Cursor, Instant, Name, PageSize, Word, instant
from .instants import to_epoch_ms


class AuditQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which rows to list: those that fit every filter."""

    project_id: UUID | UnsetType = UNSET
    action: Word | UnsetType = UNSET
    resource_type: Word | UnsetType = UNSET
    resource_id: Name | UnsetType = UNSET
    actor: Name | UnsetType = UNSET
    since: Instant | UnsetType = UNSET
    until: Instant | UnsetType = UNSET
    cursor: Cursor | UnsetType = UNSET
    limit: PageSize = 50

    def to_domain(self) -> AuditFilter:
        """Make the filter; raises InvalidInput for a cursor that this server did not give."""
        return AuditFilter(
            project_id=None if self.project_id is UNSET else ProjectId(self.project_id),
            action=None if self.action is UNSET else self.action,
            resource_type=None if self.resource_type is UNSET else self.resource_type,
            resource_id=None if self.resource_id is UNSET else self.resource_id,
            actor=None if self.actor is UNSET else self.actor,
            since=None if self.since is UNSET else instant(self.since),
            until=None if self.until is UNSET else instant(self.until),
            after=None if self.cursor is UNSET else read_cursor("audit", self.cursor),
            limit=self.limit,
        )


class AuditEntry(Struct, rename="camel"):
    """One thing that was done."""

    id: UUID
    team_id: UUID
    project_id: UUID | None
    actor: str
    api_key_id: UUID | None
    action: str
    resource_type: str
    resource_id: str
    request_id: str | None
    details: dict[str, object]
    created_at_epoch: int


class AuditPage(Struct, rename="camel"):
    """Rows of the audit log, newest first; `nextCursor` is null on the last page."""

    entries: list[AuditEntry]
    next_cursor: str | None


async def list_all(exchange: Exchange, query: AuditQuery) -> Answer[AuditPage]:
    """List what was done in the caller's team, newest first; a project's key sees what was done in its project."""
    found, has_more = await exchange.services.audit.list(exchange.principal, query.to_domain())
    next_cursor = write_cursor("audit", found[-1].created_at, found[-1].id) if has_more else None
    return Answer(AuditPage([_entry(entry) for entry in found], next_cursor))


def _entry(value: audit.AuditEntry) -> AuditEntry:
    return AuditEntry(
        id=value.id,
        team_id=value.team_id,
        project_id=value.project_id,
        actor=value.actor,
        api_key_id=value.api_key_id,
        action=value.action,
        resource_type=value.resource_type,
        resource_id=value.resource_id,
        request_id=value.request_id,
        details=value.details,
        created_at_epoch=to_epoch_ms(value.created_at),
    )
