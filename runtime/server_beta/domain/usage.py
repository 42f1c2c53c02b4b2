"""What generation costs: the tokens of calls to providers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from .ids import ProjectId


@dataclass(frozen=True, slots=True)
class Spent:
    """The tokens of one call to a provider."""

    provider: str
    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a number of calls."""

    calls: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class UsageKey:
    """What one line of the usage is about, and its place: lines are listed by these members, the newest day first."""

    day: date
    project_id: ProjectId
    provider: str
    model: str
    lane: str


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which usage to list; `after` is the last line of the page before."""

    project_id: ProjectId | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: UsageKey | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Usage:
    """A page of usage, whether there is more after it, and the totals of all that passes the filter."""

    lines: tuple[tuple[UsageKey, Tokens], ...]
    has_more: bool
    totals: Tokens
