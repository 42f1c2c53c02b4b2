"""Refuse what a consumer must not work on: another tenant's job under a false name, and a revoked key's."""

from __future__ import annotations

import structlog

from ..domain.audit import SystemActor
from ..domain.jobs import Claim, Message
from ..storage import audit, job_operations, jobs
from ..storage.database import Database

log = structlog.get_logger()

ACTOR = "system:consumer"
_REVOKED = "refused: the API key that asked for this job has been revoked"


async def refuse_foreign(database: Database, message: Message) -> bool:
    """Note a message that names another tenant's or lane's job, in that tenant's audit log; the job is left alone."""
    async with database.connection() as connection:
        owner = await job_operations.owner_unlike(connection, message)
    if owner is None:
        return False
    team_id, project_id = owner
    async with database.transaction() as connection:
        if await job_operations.hold_tenant(connection, team_id, project_id):
            await audit.record(
                connection,
                SystemActor(team_id, None, ACTOR),
                project_id,
                action="job.refused",
                resource_type="job",
                resource_id=message.job_id,
                request_id=message.request_id,
                details={"reason": "the message named another tenant or lane"},
            )
    log.warning(
        "refused a message that does not fit its job",
        action="job_refused",
        job_id=str(message.job_id),
        lane=message.lane.value,
        request_id=message.request_id,
    )
    return True


async def refuse_revoked(database: Database, claim: Claim) -> bool:
    """Fail a claimed job whose key has been revoked since, for good; false when the claim is lost.

    A key that has merely expired asked while it was valid, and was to end on that day all along: nobody distrusts what
    it asked for. Revoking a key says just that.
    """
    async with database.transaction() as connection:
        if not await job_operations.hold_tenant(connection, claim.team_id, claim.project_id):
            return False
        if await jobs.retry_or_fail(connection, claim, None, _REVOKED) is None:
            return False
        await audit.record(
            connection,
            SystemActor(claim.team_id, claim.api_key_id, ACTOR),
            claim.project_id,
            action="job.refused",
            resource_type="job",
            resource_id=claim.job_id,
            request_id=claim.request_id,
            details={"reason": "the API key has been revoked"},
        )
    log.warning(
        "refused a job whose key has been revoked",
        action="job_refused",
        job_id=str(claim.job_id),
        request_id=claim.request_id,
    )
    return True
