"""What the holder of the database may do: act for any team, and found one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ..domain.errors import Conflict, NotFound
from ..domain.ids import ApiKeyId, ProjectId, TeamId, new_id
from ..domain.principals import Principal, Scope
from ..domain.privacy import protect_text
from ..domain.records import Team
from ..domain.tenancy import LOCAL_TEAM_ID, LOCAL_TEAM_NAME
from ..domain.text import one_line
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
        """Make a team; raises Conflict for a name that another one has."""
        team_id, name = TeamId(new_id()), protect_text(name)
        async with self.database.transaction() as connection:
            await tenants.take_turns(connection)
            # A store that no server has opened yet has no local team, but its name is taken.
            await tenants.ensure_team(connection, LOCAL_TEAM_ID, LOCAL_TEAM_NAME)
            if known := [team for team in await tenants.teams(connection) if team.name == name]:
                raise Conflict(f"The team {known[0].id} has that name already; give its id or name with --team.")
            await tenants.ensure_team(connection, team_id, name)
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

    async def local_team(self) -> Team:
        """Return the team of this machine's own work."""
        async with self.database.connection() as connection:
            # A store that no server has opened yet has none.
            await tenants.ensure_team(connection, LOCAL_TEAM_ID, LOCAL_TEAM_NAME)
            team = await tenants.team(connection, LOCAL_TEAM_ID)
        assert team is not None, "it cannot be deleted"
        return team

    async def team(self, word: str) -> Team:
        """Find a team by its id or name; raises NotFound, and Conflict for a name that several teams have."""
        teams = await self.teams()
        found = [team for team in teams if str(team.id) == word.lower()] or [
            team for team in teams if team.name == word
        ]
        if len(found) > 1:
            ids = ", ".join(str(team.id) for team in found)
            raise Conflict(f"Several teams have that name; name one by its id: {ids}.")
        if not found:
            raise NotFound(f"There is no team {one_line(word)} in this store; --new-team NAME makes one.")
        return found[0]

    def acting_for(self, team: Team) -> Principal:
        """Return who acts for a team."""
        return _principal(team.id)

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
