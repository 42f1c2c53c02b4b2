"""Read the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..domain.audit import AuditEntry, AuditFilter
from ..domain.principals import Principal, Scope
from ..storage import audit
from ..storage.database import Database
from .visibility import require_project


@dataclass(frozen=True, slots=True)
class Audit:
    """What was done in the caller's team."""

    database: Database

    async def list(self, principal: Principal, wanted: AuditFilter) -> tuple[Sequence[AuditEntry], bool]:
        """Return a page, newest first, and whether there is more after it; a project's key sees its project's rows."""
        principal.require(Scope.ADMIN)
        async with self.database.connection() as connection:
            await require_project(connection, principal, wanted.project_id)
            found = await audit.page(connection, principal.team_id, principal.project_id or wanted.project_id, wanted)
        return found[: wanted.limit], len(found) > wanted.limit
