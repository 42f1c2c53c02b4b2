"""Tell what generation costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..domain.principals import Principal, Scope
from ..domain.usage import Usage, UsageFilter
from ..storage import usage
from ..storage.database import Database
from .visibility import require_project


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The token usage of the caller's projects."""

    database: Database

    async def list(self, principal: Principal, wanted: UsageFilter) -> Usage:
        """Return a page by day, newest first, and the totals; raises NotFound for a project of somebody else."""
        principal.require(Scope.JOBS_READ)
        narrowed = replace(wanted, project_id=wanted.project_id or principal.project_id, limit=wanted.limit + 1)
        async with self.database.connection() as connection:
            await require_project(connection, principal, wanted.project_id)
            lines = await usage.by_day(connection, principal.team_id, narrowed)
            totals = await usage.totals(connection, principal.team_id, narrowed)
        return Usage(tuple(lines[: wanted.limit]), len(lines) > wanted.limit, totals)
