"""Whether a project or session that a caller names is its own; asked of the database once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ..domain.errors import NotFound
from ..domain.ids import SessionId
from ..domain.principals import Principal
from ..domain.records import NewEvent, Session
from ..storage import sessions, tenants
from ..storage.database import Database
from .remembered import Remembered


class Ownership:
    """Remembers what it found, never what it did not find: that may be made at any moment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._projects: Remembered[bool] = Remembered()
        self._sessions: Remembered[Session] = Remembered()

    async def sessions_of(self, principal: Principal, new_events: Sequence[NewEvent]) -> list[SessionId | None]:
        """Return the session that each event names; raises NotFound when one, or its project, is not the caller's."""
        # The events of a request mostly name the same one, and where nothing is remembered each would be a query.
        asked: dict[Hashable, SessionId | None] = {}
        found = []
        for new in new_events:
            named = new.project_id, new.session_id, new.platform_source, new.content_session_id
            if named not in asked:
                asked[named] = await self._session_of(principal, new)
            found.append(asked[named])
        return found

    def forget(self) -> None:
        """Ask again from now on: something that was remembered is gone."""
        self._projects.clear()
        self._sessions.clear()

    async def _session_of(self, principal: Principal, new: NewEvent) -> SessionId | None:
        principal.require_project(new.project_id)
        await self._check_project(principal, new)
        if new.session_id is not None:
            session = await self._session(principal, new.session_id)
            if session.project_id != new.project_id:
                raise NotFound
            return session.id
        if new.content_session_id is None:
            return None
        async with self._database.connection() as connection:
            newest = await sessions.by_content_id(
                connection, principal.team_id, new.project_id, new.platform_source, new.content_session_id
            )
        return newest.id if newest else None

    async def _check_project(self, principal: Principal, new: NewEvent) -> None:
        key = (principal.team_id, new.project_id)
        if self._projects.get(key):
            return
        async with self._database.connection() as connection:
            if await tenants.project_by_id(connection, principal.team_id, new.project_id) is None:
                raise NotFound
        self._projects.put(key, value=True)

    async def _session(self, principal: Principal, session_id: SessionId) -> Session:
        key = (principal.team_id, session_id)
        session = self._sessions.get(key)
        if session is None:
            async with self._database.connection() as connection:
                session = await sessions.get(connection, principal.team_id, session_id)
            if session is None:
                raise NotFound
            self._sessions.put(key, session)
        return session
