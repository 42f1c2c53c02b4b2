"""What a purge took away."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows of each kind are gone."""

    observations: int = 0
    events: int = 0
    jobs: int = 0
    sessions: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            **{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        )

    @property
    def most(self) -> int:
        """How many there were of the kind that had most."""
        return max(self.observations, self.events, self.jobs, self.sessions)
