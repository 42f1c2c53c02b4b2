"""What clients of the older HTTP API say of a session: no project's id, no turns, tools one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .hook_events import CLAUDE_CODE
from .ids import SessionId
from .records import Ingested

# A prompt that has no text, a picture alone for example, must not count as one that the user made private.
NO_TEXT = "(a prompt without text)"


@dataclass(frozen=True, slots=True)
class LegacyRequest:
    """Which session a request is about, and what happened in it: members of a hook's input.

    `project` is what the client calls its project, `event_key` the client's own id of what happened.
    """

    session: str
    project: str | None = None
    folder: str | None = None
    platform: str | None = None
    event_key: str | None = None
    said: Mapping[str, object] = field(default_factory=dict)

    @property
    def platform_name(self) -> str:
        """The client's platform, by the name that its sessions are stored under."""
        return CLAUDE_CODE if self.platform in (None, "claude") else self.platform


@dataclass(frozen=True, slots=True)
class LastPrompt:
    """The newest prompt of a session and its number; number 0 before the first, no text of a private one."""

    number: int = 0
    text: str | None = None
    received_at: datetime | None = None
    session_id: SessionId | None = None


class Skipped(StrEnum):
    """Why nothing is kept of a request; the value is what the client reads."""

    PRIVATE = "private"
    DUPLICATE = "duplicate"
    NOT_CAPTURED = "not_captured"


@dataclass(frozen=True, slots=True)
class LegacyAnswer:
    """What became of a request; `skipped` says why nothing is kept of it."""

    prompt_number: int
    ingested: Ingested | None = None
    skipped: Skipped | None = None
    session_id: SessionId | None = None
