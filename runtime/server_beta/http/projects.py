"""`/v1/projects`: the projects of the caller's team."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from ..domain.ids import ProjectId
from . import wire
from .exchange import Answer, Exchange
from .fields import ExternalId, Name


class ProjectBody(Struct, rename="camel", frozen=True):
    """A project by its key, as `POST /v1/projects` and a session's start name it."""

    key: ExternalId
    name: Name | None = None


class ProjectsQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which projects to list: all, or those with this key or name."""

    key: ExternalId | UnsetType = UNSET
    name: Name | UnsetType = UNSET


class ProjectReply(Struct):
    """One project."""

    project: wire.Project


class ProjectsReply(Struct):
    """Projects, by name."""

    projects: list[wire.Project]


class Deleted(Struct):
    """How many rows of each kind a purge has deleted."""

    observations: int
    events: int
    jobs: int
    sessions: int


class PurgeReply(Struct, rename="camel"):
    """A project that remembers nothing any more."""

    project_id: UUID
    deleted: Deleted


async def list_all(exchange: Exchange, query: ProjectsQuery) -> Answer[ProjectsReply]:
    """List the projects that the caller sees, or those with a key or a name."""
    found = await exchange.services.projects.list(
        exchange.principal,
        key=None if query.key is UNSET else query.key,
        name=None if query.name is UNSET else query.name,
    )
    return Answer(ProjectsReply([wire.project(project) for project in found]))


async def create(exchange: Exchange, body: ProjectBody) -> Answer[ProjectReply]:
    """Find or create the project with this key; 201 when it is new."""
    project, created = await exchange.services.projects.find_or_create(
        exchange.principal, body.key, body.name or body.key, exchange.request_id
    )
    return Answer(ProjectReply(wire.project(project)), 201 if created else 200)


async def get(exchange: Exchange, id: UUID) -> Answer[ProjectReply]:
    """Read one project."""
    project = await exchange.services.projects.get(exchange.principal, ProjectId(id))
    return Answer(ProjectReply(wire.project(project)))


async def purge(exchange: Exchange, id: UUID) -> Answer[PurgeReply]:
    """Forget everything that a project remembers: its observations, events, jobs and sessions.

    The project, its keys, its audit log and its usage stay. Whoever is generating from it at the time stores nothing.
    """
    purged = await exchange.services.purge.run(exchange.principal, ProjectId(id), exchange.request_id)
    return Answer(PurgeReply(id, Deleted(purged.observations, purged.events, purged.jobs, purged.sessions)))
