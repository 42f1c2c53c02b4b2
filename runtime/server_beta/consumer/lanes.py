"""Hand delivered messages to generation, lane by lane."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from ..domain.errors import Unavailable
from ..domain.jobs import Lane, Message
from ..domain.ports import JobTransport
from ..services.generate import Generate

log = structlog.get_logger()

# Reindexing has no jobs in this version: what is derived is derived by the database itself.
CONSUMED_LANES = (Lane.EVENT, Lane.EVENT_BATCH, Lane.SUMMARY)


def consume_lanes(transport: JobTransport, generate: Generate, concurrency: Mapping[Lane, int]) -> None:
    """Begin to consume every lane that has work in it."""

    async def handle(message: Message) -> None:
        # Every line about the job, whoever writes it, can be found by the request that called for it.
        with structlog.contextvars.bound_contextvars(job_id=str(message.job_id), request_id=message.request_id):
            try:
                await generate.run(message)
            except Unavailable:
                # The row is still there, leased or queued: the sweep or the rescuer publishes it again.
                log.warning("the database was away during a job", action="job_interrupted")

    for lane in CONSUMED_LANES:
        transport.consume(lane, handle, concurrency[lane])
