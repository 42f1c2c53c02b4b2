"""`/v1/jobs`: where generation stands."""

from __future__ import annotations

from uuid import UUID

from msgspec import Struct

from ..domain.ids import JobId
from . import wire
from .exchange import Answer, Exchange


class JobReply(Struct, rename="camel"):
    """One generation job."""

    generation_job: wire.GenerationJob


async def get(exchange: Exchange, id: UUID) -> Answer[JobReply]:
    """Read one generation job."""
    return Answer(JobReply(wire.job(await exchange.services.jobs.get(exchange.principal, JobId(id)))))
