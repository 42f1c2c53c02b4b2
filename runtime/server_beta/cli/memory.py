"""The questions that people and models ask the memory: search, look around, read, list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from ..domain.errors import ClaudeMemError
from .client import Address, Query, ask

ALL_PROJECTS = "*"
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Wire = Mapping[str, object]


class UnknownProject(ClaudeMemError):
    """There is no such project."""


class NoInstant(ClaudeMemError):
    """A date cannot be read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: one project, or all; `project_id` of a project in which nothing is recorded yet is None."""

    label: str
    project_id: str | None = None
    is_all: bool = False

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing can be found there."""
        return self.project_id is None and not self.is_all


@dataclass(frozen=True, slots=True)
class Question:
    """What to search for; dates are as people write them."""

    query: str
    project: str | None = None
    limit: int = 20
    kinds: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """A running runtime's memory; both members are looked up anew for every question, because both may change."""

    address: Callable[[], Address]
    own_key: Callable[[], str]

    def search(self, question: Question) -> tuple[Scope, Sequence[Wire]]:
        """Find observations, the best first."""
        since = None if question.since is None else instant(question.since)
        until = None if question.until is None else instant(question.until, is_end=True)
        address = self.address()
        scope = self._scope(address, question.project)
        if scope.is_empty:
            return scope, []
        body = {
            "query": question.query,
            "projectId": scope.project_id,
            "limit": question.limit,
            "kinds": question.kinds or None,
            "since": since,
            "until": until,
        }
        return scope, _observations(ask(address, "POST", "/v1/search", body))

    def timeline(self, anchor: str, before: int, after: int) -> tuple[str, Sequence[Wire]]:
        """Find what happened around an observation, oldest first; with the anchor's whole id."""
        query: Query = {"anchor": anchor, "before": before, "after": after}
        answer = ask(self.address(), "GET", "/v1/timeline", query=query)
        return str(answer.get("anchorId")), _observations(answer)

    def named(self, ids: Sequence[str]) -> Sequence[Wire]:
        """Read observations by their ids, oldest first; those that are not there are absent."""
        return _observations(ask(self.address(), "POST", "/v1/observations/batch", {"ids": list(ids)}))

    def recent(self, project: str | None) -> tuple[Scope, Wire]:
        """Read the page that a session of the project starts with: `context` and `observationIds`."""
        if project == ALL_PROJECTS:
            raise UnknownProject("A session starts in one project; give the key or the name of one.")
        address = self.address()
        scope = self._scope(address, project)
        if scope.project_id is None:
            return scope, {"context": "", "observationIds": []}
        return scope, ask(address, "GET", "/v1/context/recent", query={"projectId": scope.project_id})

    def projects(self) -> Sequence[Wire]:
        """List the projects by name."""
        return _objects(ask(self.address(), "GET", "/v1/projects"), "projects")

    def _scope(self, address: Address, wanted: str | None) -> Scope:
        if wanted == ALL_PROJECTS:
            return Scope("all projects", is_all=True)
        key = wanted or self.own_key()
        found = _objects(ask(address, "GET", "/v1/projects", query={"key": key}), "projects")
        if not found and wanted:
            found = _objects(ask(address, "GET", "/v1/projects", query={"name": wanted}), "projects")
        if len(found) > 1:
            keys = ", ".join(str(project.get("key")) for project in found)
            raise UnknownProject(f"{len(found)} projects are called {wanted}; give the key of one: {keys}.")
        if found:
            return Scope(f"{found[0].get('name')} ({found[0].get('key')})", str(found[0].get("id")))
        if wanted:
            raise UnknownProject(f"No project has the key or the name {wanted}; {ALL_PROJECTS!r} stands for all.")
        return Scope(f"this folder's project ({key}), where nothing is recorded yet")


def instant(text: str, *, is_end: bool = False) -> int:
    """Read a date or an ISO 8601 instant, UTC unless it says otherwise, as milliseconds since 1970.

    A date is its first moment, as an end its last. Raises NoInstant.
    """
    try:
        moment = datetime.fromisoformat(text)
        if is_end and len(text) == len("2026-01-31"):
            moment = datetime.combine(moment, time.max)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        milliseconds = (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        raise NoInstant(f"{text} is no date; write it as 2026-01-31 or 2026-01-31T18:00:00Z.") from None
    return max(milliseconds, 0)


def _observations(answer: Wire) -> Sequence[Wire]:
    return _objects(answer, "observations")


def _objects(answer: Wire, member: str) -> Sequence[Wire]:
    listed = answer.get(member)
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
