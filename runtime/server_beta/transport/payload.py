"""What a message looks like on the wire: the fields of `Message` in camelCase, and the version of that shape."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from ..domain.ids import JobId, ProjectId, TeamId
from ..domain.jobs import Lane, Message

VERSION = 1


class _Wire(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    version: Literal[1]
    job_id: UUID
    team_id: UUID
    project_id: UUID
    lane: Lane
    attempt: Annotated[int, msgspec.Meta(ge=0)]
    request_id: Annotated[str, msgspec.Meta(max_length=200)] | None = None


def dump(message: Message) -> dict[str, object]:
    """Build the JSON object that BullMQ carries for the message."""
    return {
        "version": VERSION,
        "jobId": str(message.job_id),
        "teamId": str(message.team_id),
        "projectId": str(message.project_id),
        "lane": message.lane.value,
        "attempt": message.attempt,
        "requestId": message.request_id,
    }


def parse(payload: object, lane: Lane) -> Message | None:
    """Read a message that arrived on the lane; None when it is not exactly what `dump` builds for that lane."""
    try:
        wire = msgspec.convert(payload, _Wire)
    except msgspec.ValidationError:
        return None
    if wire.lane is not lane:
        return None
    return Message(
        job_id=JobId(wire.job_id),
        team_id=TeamId(wire.team_id),
        project_id=ProjectId(wire.project_id),
        lane=wire.lane,
        attempt=wire.attempt,
        request_id=wire.request_id,
    )
