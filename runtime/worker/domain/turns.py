"""A turn: one prompt of the user and everything the agent did until it answered; a generator's input."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """One stored event as a generator sees it: the hook's name and its JSON, or an API client's event and payload."""

    event_type: str
    payload: dict[str, object]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Material:
    """What one generation may look at, in order of occurrence.

    `project_root` is the absolute path that file paths are made relative to, when the client sent it.
    """

    events: tuple[Recorded, ...]
    project_root: str | None = None
