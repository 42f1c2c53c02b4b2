"""Forget everything that a project remembers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import structlog

from ..domain.errors import NotFound, Unavailable
from ..domain.ids import ProjectId
from ..domain.jobs import Message
from ..domain.ports import JobTransport
from ..domain.principals import Principal, Scope
from ..domain.purge import Purged
from ..storage import audit, job_operations, purge
from ..storage.database import Connection, Database

# A group of events that waits for a deleted row of this project holds up the events of others that came with it: no
# transaction may last for long.
_MOST_AT_ONCE = 1_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Purge:
    """Deletes events, sessions, jobs and observations; the project, its keys, its audit log and its usage stay."""

    database: Database
    transport: JobTransport

    async def run(self, principal: Principal, project_id: ProjectId, request_id: str | None) -> Purged:
        """Delete what is there at the moment when the purge ends, and say how much it was.

        Most goes in small steps. The rest goes at once while nobody can write into the project: whoever is generating
        from it by then finds that the job is gone, and stores nothing. Run again, it goes on where it was cut short.
        Raises NotFound when the caller does not see the project.
        """
        principal.require(Scope.ADMIN)
        principal.require_project(project_id)
        async with self.database.transaction() as connection:
            if not await job_operations.hold_tenant(connection, principal.team_id, project_id):
                raise NotFound
            await _record(connection, principal, project_id, "project.purge_started", request_id)
        purged, queue = Purged(), _Queue(self.transport)
        for kind in purge.KINDS:
            step = None
            while step is None or step.most >= _MOST_AT_ONCE:
                async with self.database.transaction() as connection:
                    await _hold(connection, principal, project_id)
                    step, held = await purge.delete(connection, principal.team_id, project_id, kind, _MOST_AT_ONCE)
                purged += step
                await queue.clear(held)
        last: list[Message] = []
        async with self.database.transaction() as connection:
            await _hold(connection, principal, project_id)
            for kind in purge.KINDS:
                step, held = await purge.delete(connection, principal.team_id, project_id, kind, None)
                purged += step
                last += held
            await _record(connection, principal, project_id, "project.purged", request_id, asdict(purged))
        await queue.clear(last)
        return purged


@dataclass(slots=True)
class _Queue:
    """Takes messages of jobs that are gone out of the queue, as long as it answers."""

    transport: JobTransport
    is_away: bool = False

    async def clear(self, messages: Sequence[Message]) -> None:
        if not messages or self.is_away:
            return
        try:
            await self.transport.remove(messages)
        except Unavailable:
            self.is_away = True
            log.warning(
                "the queue does not answer; what it holds of a purged project finds no job and does nothing",
                action="purge_queue_unavailable",
            )


async def _hold(connection: Connection, principal: Principal, project_id: ProjectId) -> None:
    if not await purge.hold(connection, principal.team_id, project_id):
        raise NotFound


async def _record(
    connection: Connection,
    principal: Principal,
    project_id: ProjectId,
    action: str,
    request_id: str | None,
    details: Mapping[str, object] | None = None,
) -> None:
    await audit.record(
        connection,
        principal,
        project_id,
        action=action,
        resource_type="project",
        resource_id=project_id,
        request_id=request_id,
        details=details,
    )
