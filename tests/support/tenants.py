"""A team with a project, a session and a caller, and events of that session, as every storage test needs them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from server_beta.domain.ids import SessionId, TeamId, new_id
from server_beta.domain.principals import Principal, Scope
from server_beta.domain.records import NewEvent, NewSession, Project
from server_beta.storage import sessions, tenants
from server_beta.storage.database import Database

BEGINNING = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tenant:
    """One team's view of the store."""

    principal: Principal
    project: Project
    session_id: SessionId

    def event(
        self, number: int = 0, *, name: str = "PostToolUse", turn: str | None = "turn-1", **payload: object
    ) -> NewEvent:
        """Make an event of the tenant's session; the number is its identity and its second."""
        return NewEvent(
            project_id=self.project.id,
            event_type=name,
            occurred_at=BEGINNING + timedelta(seconds=number),
            payload={"hook_event_name": name, "tool_name": "Bash", **payload},
            source_type="hook",
            source_adapter="claude-code",
            platform_source="claude-code",
            source_event_id=f"event-{number}",
            session_id=self.session_id,
            turn_key=turn,
        )


async def make_tenant(database: Database, name: str = "shop") -> Tenant:
    """Make a team that nobody else uses."""
    team_id = TeamId(new_id())
    async with database.connection() as connection:
        await tenants.ensure_team(connection, team_id, name)
        project, _ = await tenants.find_or_create_project(connection, team_id, f"git:example.org/{name}", name)
        session, _ = await sessions.find_or_create(
            connection, team_id, NewSession(project.id, external_session_id="external", platform_source="claude-code")
        )
    principal = Principal(team_id, None, None, frozenset(Scope) - {Scope.ADMIN})
    return Tenant(principal, project, session.id)
