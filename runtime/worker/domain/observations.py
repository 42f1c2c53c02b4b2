"""Observations and session summaries: what generation makes and recall returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

KINDS = ("bugfix", "feature", "refactor", "change", "discovery", "decision", "security")
SUMMARY_KIND = "summary"


@dataclass(frozen=True, slots=True)
class Draft:
    """An observation before it is stored.

    `kind` is one of KINDS, SUMMARY_KIND or any other word a generator chose: unknown kinds are stored and
    shown. File paths are relative to the project root where they lie inside it. `metadata` of a summary holds
    request, investigated, learned, completed and next_steps. `content` is the text that somebody wrote as a whole, or
    that was stored; None means what the parts render to.
    """

    kind: str
    title: str
    subtitle: str = ""
    narrative: str = ""
    facts: tuple[str, ...] = ()
    concepts: tuple[str, ...] = ()
    files_read: tuple[str, ...] = ()
    files_modified: tuple[str, ...] = ()
    metadata: dict[str, object] = field(default_factory=dict)
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a session was about; an empty field is unknown, not a failure."""

    request: str = ""
    investigated: str = ""
    learned: str = ""
    completed: str = ""
    next_steps: str = ""
    files_modified: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """A stored observation, as recall and the context page read it."""

    id: UUID
    project_id: UUID
    team_id: UUID
    session_id: UUID | None
    draft: Draft
    created_at: datetime
    updated_at: datetime


def summary_draft(summary: Summary) -> Draft:
    """Shape a session summary as the observation it is stored as."""
    return Draft(
        kind=SUMMARY_KIND,
        title=summary.request or summary.completed or "Session",
        narrative=summary.learned,
        files_modified=summary.files_modified,
        metadata={
            "request": summary.request,
            "investigated": summary.investigated,
            "learned": summary.learned,
            "completed": summary.completed,
            "next_steps": summary.next_steps,
        },
    )


def content_of(draft: Draft) -> str:
    """Give a draft as the plain text that the wire calls `content`."""
    if draft.content is not None:
        return draft.content
    lines = [draft.title, draft.subtitle, draft.narrative, *(f"- {fact}" for fact in draft.facts)]
    if draft.kind == SUMMARY_KIND:
        labels = ("request", "investigated", "learned", "completed", "next_steps")
        told = [f"{label.replace('_', ' ')}: {text}" for label in labels if (text := draft.metadata.get(label))]
        lines = told or lines
    for label, files in (("read", draft.files_read), ("modified", draft.files_modified)):
        if files:
            lines.append(f"{label}: {', '.join(files)}")
    return "\n".join(line for line in lines if line)
