"""What the holder of the database may do: act for any team, and found one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ..domain.errors import NotFound
from ..domain.ids import ApiKeyId, ProjectId, TeamId, new_id
from ..domain.principals import Principal, Scope
from ..domain.privacy import protect_text
from ..domain.records import Team
from ..domain.tenancy import LOCAL_TEAM_ID, LOCAL_TEAM_NAME
from ..storage import audit, keys, tenants
from ..storage.database import Database

_ACTOR = "system:cli"


@dataclass(frozen=True, slots=True)
class Operator:
    """Speaks for whoever can open the store itself, and so needs no key."""

    database: Database

    async def teams(self) -> Sequence[Team]:
        """Return every team, the oldest first."""
        async with self.database.connection() as connection:
            return await tenants.teams(connection)

    async def found_team(self, name: str) -> Team:
        """Make a team."""
        team_id = TeamId(new_id())
        async with self.database.transaction() as connection:
            await tenants.ensure_team(connection, team_id, protect_text(name))
            await audit.record(
                connection,
                _principal(team_id),
                None,
                action="team.created",
                resource_type="team",
                resource_id=team_id,
                request_id=None,
            )
            team = await tenants.team(connection, team_id)
        assert team is not None, "it was made in this transaction"
        return team

    async def acting_for(self, team_id: TeamId | None) -> Principal:
        """Return who acts for a team, without one for the local team; raises NotFound for a team that is not there."""
        async with self.database.connection() as connection:
            if team_id is None:
                # A store that no server has opened yet has none.
                await tenants.ensure_team(connection, LOCAL_TEAM_ID, LOCAL_TEAM_NAME)
            elif await tenants.team(connection, team_id) is None:
                raise NotFound(f"There is no team {team_id} in this store; --new-team NAME makes one.")
        return _principal(team_id or LOCAL_TEAM_ID)

    async def acting_on(self, key_id: ApiKeyId) -> Principal:
        """Return who acts for the team of a key; raises NotFound for a key that is not there."""
        async with self.database.connection() as connection:
            team_id = await keys.team_of(connection, key_id)
        if team_id is None:
            raise NotFound(f"There is no API key {key_id} in this store.")
        return _principal(team_id)

    async def project(self, principal: Principal, word: str) -> ProjectId:
        """Find a team's project by its id or key; raises NotFound."""
        async with self.database.connection() as connection:
            try:
                found = await tenants.project_by_id(connection, principal.team_id, ProjectId(UUID(word)))
            except ValueError:
                found = await tenants.project_by_key(connection, principal.team_id, word)
        if found is None:
            raise NotFound(f"The team {principal.team_id} has no project with the id or key {word}.")
        return found.id


def _principal(team_id: TeamId) -> Principal:
    return Principal(team_id, None, None, frozenset(Scope), acts_as=_ACTOR)
