"""Start, read and end sessions."""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.errors import NotFound
from ..domain.ids import SessionId
from ..domain.jobs import SourceType
from ..domain.principals import Principal, Scope
from ..domain.privacy import protect
from ..domain.records import Job, NewSession, Session
from ..storage import jobs, sessions, tenants
from ..storage.database import Database
from .relay import Relay


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of the caller's projects."""

    database: Database
    relay: Relay

    async def start(self, principal: Principal, new: NewSession) -> tuple[Session, bool]:
        """Find or create a session; of two clients that race, both get the same one. Returns whether it is new."""
        principal.require(Scope.SESSIONS_WRITE)
        principal.require_project(new.project_id)
        metadata = protect(new.metadata or {})
        async with self.database.connection() as connection:
            if await tenants.project_by_id(connection, principal.team_id, new.project_id) is None:
                raise NotFound
            return await sessions.find_or_create(
                connection,
                principal.team_id,
                NewSession(
                    project_id=new.project_id,
                    external_session_id=new.external_session_id,
                    content_session_id=new.content_session_id,
                    agent_id=new.agent_id,
                    agent_type=new.agent_type,
                    platform_source=new.platform_source,
                    project_root=new.project_root,
                    metadata=metadata if isinstance(metadata, dict) else {},
                ),
            )

    async def get(self, principal: Principal, session_id: SessionId) -> Session:
        """Return a session; raises NotFound when the caller does not see it."""
        principal.require(Scope.OBSERVATIONS_READ)
        return await self._visible(principal, session_id)

    async def end(
        self, principal: Principal, session_id: SessionId, request_id: str | None
    ) -> tuple[Session, Job | None]:
        """End a session, once, and queue its summary when it has events that no summary was asked for."""
        principal.require(Scope.SESSIONS_WRITE)
        session = await self._visible(principal, session_id)
        async with self.database.transaction() as connection:
            ended = await sessions.end(connection, principal.team_id, session.project_id, session.id)
            if ended is None:
                raise NotFound
            last = await jobs.last_event_of_session(connection, principal.team_id, session.project_id, session.id)
            if last is None:
                return ended, None
            queued = await jobs.queue_summary(
                connection,
                principal.team_id,
                session.project_id,
                session.id,
                after=last,
                request_id=request_id,
            )
            job = await jobs.by_source(
                connection, principal.team_id, session.project_id, SourceType.SESSION_SUMMARY, last
            )
        if queued is not None:
            self.relay.offer([queued])
        return ended, job

    async def _visible(self, principal: Principal, session_id: SessionId) -> Session:
        async with self.database.connection() as connection:
            session = await sessions.get(connection, principal.team_id, session_id)
        if session is None:
            raise NotFound
        principal.require_project(session.project_id)
        return session
