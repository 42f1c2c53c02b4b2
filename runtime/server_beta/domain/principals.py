"""Who is asking, and what they may do: the one table of scopes that routes, CLI and bootstrap share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from .errors import Forbidden, NotFound
from .ids import ApiKeyId, ProjectId, TeamId


class Scope(StrEnum):
    """A permission that an API key carries."""

    EVENTS_WRITE = "events:write"
    SESSIONS_WRITE = "sessions:write"
    OBSERVATIONS_READ = "observations:read"
    OBSERVATIONS_WRITE = "observations:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    PROJECTS_WRITE = "projects:write"
    KEYS_WRITE = "keys:write"
    ADMIN = "admin"


# Names that clients of the TypeScript server send for the same permissions.
_ALIASES: dict[str, tuple[Scope, ...]] = {
    "memories:read": (Scope.OBSERVATIONS_READ,),
    "memories:write": (Scope.OBSERVATIONS_WRITE,),
    "*": tuple(Scope),
}

LOCAL_SCOPES = frozenset(Scope) - {Scope.ADMIN}


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Read scope words, aliases included; raises ValueError with the word that is not a scope."""
    scopes: set[Scope] = set()
    for word in words:
        if word in _ALIASES:
            scopes.update(_ALIASES[word])
        else:
            scopes.add(Scope(word))
    return frozenset(scopes)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller; `project_id` is set for a key that sees one project only."""

    team_id: TeamId
    project_id: ProjectId | None
    key_id: ApiKeyId | None
    scopes: frozenset[Scope]

    def require(self, scope: Scope) -> None:
        """Raise Forbidden unless the caller holds the scope (`admin` holds every one)."""
        if scope not in self.scopes and Scope.ADMIN not in self.scopes:
            raise Forbidden

    def require_project(self, project_id: ProjectId) -> None:
        """Raise NotFound when the key is for another project."""
        if self.project_id is not None and self.project_id != project_id:
            raise NotFound

    @property
    def actor(self) -> str:
        """How audit rows name the caller."""
        return f"api_key:{self.key_id}" if self.key_id else "local"
