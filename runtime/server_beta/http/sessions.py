"""`/v1/sessions`: the sessions of agents, from start to end."""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from ..domain.ids import ProjectId, SessionId
from ..domain.records import NewSession
from . import wire
from .exchange import Answer, Exchange
from .fields import ExactlyOne, ExternalId, Name, Word
from .projects import ProjectBody


class SessionBody(ExactlyOne, rename="camel", frozen=True):
    """The start of a session, in a project that exists or one that is named by key."""

    exactly_one = ("project_id", "project")

    project_id: UUID | None = None
    project: ProjectBody | None = None
    external_session_id: ExternalId | None = None
    content_session_id: ExternalId | None = None
    agent_id: Name | None = None
    agent_type: Name | None = None
    platform_source: Word | None = None
    metadata: dict[str, object] | None = None

    def to_domain(self, project_id: ProjectId) -> NewSession:
        """Make the session to find or create, in the project that was found."""
        return NewSession(
            project_id=project_id,
            external_session_id=self.external_session_id,
            content_session_id=self.content_session_id,
            agent_id=self.agent_id,
            agent_type=self.agent_type,
            platform_source=self.platform_source or "api",
            metadata=self.metadata,
        )


class SessionReply(Struct):
    """One session."""

    session: wire.Session


class EndReply(Struct, rename="camel"):
    """An ended session, with the job of its summary where there was something to summarise."""

    session: wire.Session
    generation_job: wire.GenerationJob | UnsetType = UNSET


async def start(exchange: Exchange, body: SessionBody) -> Answer[SessionReply]:
    """Find or create a session; 201 when it is new."""
    new = body.to_domain(await _project_id(exchange, body))
    session, created = await exchange.services.sessions.start(exchange.principal, new, exchange.request_id)
    return Answer(SessionReply(wire.session(session)), 201 if created else 200)


async def get(exchange: Exchange, id: UUID) -> Answer[SessionReply]:
    """Read one session."""
    session = await exchange.services.sessions.get(exchange.principal, SessionId(id))
    return Answer(SessionReply(wire.session(session)))


async def end(exchange: Exchange, id: UUID) -> Answer[EndReply]:
    """End a session; ending it again answers the same."""
    session, job = await exchange.services.sessions.end(exchange.principal, SessionId(id), exchange.request_id)
    return Answer(EndReply(wire.session(session), UNSET if job is None else wire.job(job)))


async def _project_id(exchange: Exchange, body: SessionBody) -> ProjectId:
    if body.project is None:
        assert body.project_id is not None, "SessionBody holds one or the other"
        return ProjectId(body.project_id)
    project, _ = await exchange.services.projects.find_or_create(
        exchange.principal, body.project.key, body.project.name or body.project.key, exchange.request_id
    )
    return project.id
