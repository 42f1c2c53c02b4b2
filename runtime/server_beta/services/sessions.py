"""Start, read and end sessions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from ..domain.errors import NotFound
from ..domain.ids import ProjectId, SessionId
from ..domain.jobs import Message
from ..domain.principals import Principal, Scope
from ..domain.privacy import protect
from ..domain.records import Job, NewSession, Session
from ..storage import audit, jobs, sessions
from ..storage.database import Connection, Database
from .aside import aside
from .relay import Relay


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of the caller's projects."""

    database: Database
    relay: Relay

    async def start(self, principal: Principal, new: NewSession, request_id: str | None) -> tuple[Session, bool]:
        """Find or create a session; of clients that race, all get the same one. Returns whether it is new."""
        principal.require(Scope.SESSIONS_WRITE)
        principal.require_project(new.project_id)
        metadata = await aside(partial(protect, new.metadata or {}), new.metadata)
        assert isinstance(metadata, dict)
        async with self.database.transaction() as connection:
            return await open_session(connection, principal, replace(new, metadata=metadata), request_id)

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
        queued: Message | None = None
        async with self.database.transaction() as connection:
            ended = await close_session(connection, principal, session.project_id, session.id, request_id)
            last = await jobs.last_event_of_session(connection, principal.team_id, session.project_id, session.id)
            if last is None:
                return ended, None
            scope = (principal.team_id, session.project_id, session.id)
            job = await jobs.summary_of_state(connection, *scope, last)
            if job is None:
                queued = await jobs.queue_summary(
                    connection, *scope, after=last, key_id=principal.key_id, request_id=request_id
                )
                job = await jobs.summary_of_state(connection, *scope, last)
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


async def open_session(
    connection: Connection, principal: Principal, new: NewSession, request_id: str | None
) -> tuple[Session, bool]:
    """Find or create a session in this transaction; a new one is audited. Raises NotFound without its project."""
    session, is_new = await sessions.find_or_create(connection, principal.team_id, new)
    if is_new:
        await _record(connection, principal, session, "session.started", request_id)
    return session, is_new


async def close_session(
    connection: Connection, principal: Principal, project_id: ProjectId, session_id: SessionId, request_id: str | None
) -> Session:
    """End a session in this transaction and return it; its first end stays, and is audited. Raises NotFound."""
    await sessions.lock(connection, principal.team_id, project_id, session_id)
    ended = await sessions.end(connection, principal.team_id, project_id, session_id)
    if ended is not None:
        await _record(connection, principal, ended, "session.ended", request_id)
        return ended
    session = await sessions.get(connection, principal.team_id, session_id)
    if session is None:
        raise NotFound
    return session


async def _record(
    connection: Connection, principal: Principal, session: Session, action: str, request_id: str | None
) -> None:
    await audit.record(
        connection,
        principal,
        session.project_id,
        action=action,
        resource_type="session",
        resource_id=session.id,
        request_id=request_id,
    )
