"""The audit log as it is read: who did what to which object, by which key and under which request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from .ids import ApiKeyId, ProjectId, TeamId


class Actor(Protocol):
    """Whoever does what is audited: a `Principal`, or a `SystemActor`."""

    @property
    def team_id(self) -> TeamId:
        """The team whose log it is written into."""
        ...

    @property
    def key_id(self) -> ApiKeyId | None:
        """The key that it is done with, or on behalf of."""
        ...

    @property
    def actor(self) -> str:
        """The name in the log."""
        ...


@dataclass(frozen=True, slots=True)
class SystemActor:
    """A part of the program that acts by itself, on behalf of the key that asked for it, if one did."""

    team_id: TeamId
    key_id: ApiKeyId | None
    actor: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row. `actor` names who acted even when the key that it acted with is long gone."""

    id: UUID
    team_id: TeamId
    project_id: ProjectId | None
    actor: str
    api_key_id: ApiKeyId | None
    action: str
    resource_type: str
    resource_id: str
    request_id: str | None
    details: dict[str, object]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows to list, newest first; `after` is the last row of the page before."""

    project_id: ProjectId | None = None
    action: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, UUID] | None = None
    limit: int = 50
