"""Who is asking, and what they may do: the one table of scopes that routes, CLI and bootstrap share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


# What the scope lets its holder do, as the help of `api-key` says it.
MEANINGS: Mapping[Scope, str] = {
    Scope.EVENTS_WRITE: "send hook events and record events",
    Scope.SESSIONS_WRITE: "start and end sessions",
    Scope.OBSERVATIONS_READ: "search and read the memory, its events and projects",
    Scope.OBSERVATIONS_WRITE: "write, change and delete observations",
    Scope.JOBS_READ: "see generation jobs",
    Scope.JOBS_WRITE: "retry and cancel generation jobs",
    Scope.PROJECTS_WRITE: "make projects",
    Scope.KEYS_WRITE: "list, make, rotate and revoke API keys",
    Scope.ADMIN: "all of these, the audit log, and what deletes or reveals",
}

# Words of the TypeScript server, whose two cover all that it does: each stands for what it opens there.
ALIASES: Mapping[str, tuple[Scope, ...]] = {
    "memories:read": (Scope.OBSERVATIONS_READ, Scope.JOBS_READ),
    "memories:write": (Scope.OBSERVATIONS_WRITE, Scope.EVENTS_WRITE, Scope.SESSIONS_WRITE, Scope.JOBS_WRITE),
    "*": tuple(Scope),
}

# What hooks, the command line and MCP need of a server: the scopes of a key that is made without naming any.
CLIENT_SCOPES = frozenset(
    {Scope.EVENTS_WRITE, Scope.SESSIONS_WRITE, Scope.OBSERVATIONS_READ, Scope.JOBS_READ, Scope.PROJECTS_WRITE}
)
LOCAL_SCOPES = frozenset(Scope) - {Scope.ADMIN}


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Read scope words, aliases included; raises ValueError with the first word that is not a scope."""
    scopes: set[Scope] = set()
    for word in words:
        if word in ALIASES:
            scopes.update(ALIASES[word])
        else:
            scopes.add(Scope(word))
    return frozenset(scopes)


def in_order(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    """Return the scopes in the order of the table, which is how they are stored and shown."""
    wanted = frozenset(scopes)
    return tuple(scope for scope in Scope if scope in wanted)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller; `project_id` is set for a key that sees one project only.

    `acts_as` names a caller without a key in the audit log.
    """

    team_id: TeamId
    project_id: ProjectId | None
    key_id: ApiKeyId | None
    scopes: frozenset[Scope]
    acts_as: str = "local"

    def holds(self, scope: Scope) -> bool:
        """Whether the caller may do what the scope allows (`admin` allows everything)."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Raise Forbidden unless the caller holds the scope."""
        if not self.holds(scope):
            raise Forbidden

    def require_project(self, project_id: ProjectId) -> None:
        """Raise NotFound when the key is for another project."""
        if self.project_id is not None and self.project_id != project_id:
            raise NotFound

    def require_power_over(self, scopes: Iterable[Scope]) -> None:
        """Raise Forbidden, naming them, when the caller lacks any of the scopes: nobody gives what they do not hold."""
        if lacking := [scope for scope in in_order(scopes) if not self.holds(scope)]:
            raise Forbidden(f"This API key does not hold {', '.join(lacking)} itself.")

    @property
    def actor(self) -> str:
        """How audit rows name the caller."""
        return f"api_key:{self.key_id}" if self.key_id else self.acts_as
