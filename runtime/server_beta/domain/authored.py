"""Observations that a client words itself: as one text, or in parts; and what a later change makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from .errors import InvalidInput, Issue
from .observations import Draft, content_of
from .privacy import protect, protect_text
from .text import one_line

DIRECT_KIND = "manual"
_TITLE_CHARACTERS = 120
# Postgres makes a text vector of 1 MiB at most, and of awkward words up to three times as long as their text.
_MOST_SEARCHED_BYTES = 256 * 1024
# An entry of the index on files holds 2.7 kB.
_MOST_PATH_BYTES = 2_500


@dataclass(frozen=True, slots=True)
class Authored:
    """What a client says about an observation; None leaves a member as it is.

    `content` is the whole text, and the narrative with it: nobody says both.
    """

    kind: str | None = None
    content: str | None = None
    title: str | None = None
    subtitle: str | None = None
    narrative: str | None = None
    facts: tuple[str, ...] | None = None
    concepts: tuple[str, ...] | None = None
    files_read: tuple[str, ...] | None = None
    files_modified: tuple[str, ...] | None = None
    metadata: dict[str, object] | None = None


def new_draft(said: Authored) -> Draft:
    """Make an observation out of what was said, without private text and secrets.

    A text without a title is one text: its beginning becomes the title, and `content` is that text and nothing else.
    Raises InvalidInput when nothing is left to say, or when it is too long to be searched.
    """
    return _composed(Draft(DIRECT_KIND, title=""), _protected(said), is_one_text=said.title is None)


def changed(draft: Draft, said: Authored) -> Draft:
    """Apply a change, without private text and secrets.

    A title that was the beginning of the text follows it; `content` follows the parts, unless it is one text.
    Raises InvalidInput when nothing is left to say, or when it is too long to be searched.
    """
    return _composed(draft, _protected(said), is_one_text=content_of(draft) == draft.narrative)


def title_of(text: str) -> str:
    """Name a text by its first line that shows anything."""
    lines = (one_line(line, _TITLE_CHARACTERS) for line in text.splitlines())
    return next((line for line in lines if line), "")


def _composed(draft: Draft, said: Authored, *, is_one_text: bool) -> Draft:
    text = said.narrative if said.content is None else said.content
    narrative = draft.narrative if text is None else text
    title = draft.title
    if said.title is not None:
        title = said.title
    elif title == title_of(draft.narrative):
        title = title_of(narrative)
    parts = {name: value for name in _PARTS if (value := getattr(said, name)) is not None}
    content = narrative if is_one_text or said.content is not None else None
    composed = replace(draft, title=title, narrative=narrative, content=content, **parts)
    _check(composed)
    return composed


_PARTS = tuple(field.name for field in fields(Authored) if field.name not in {"content", "title", "narrative"})


def _protected(said: Authored) -> Authored:
    metadata = protect(said.metadata) if said.metadata is not None else None
    assert metadata is None or isinstance(metadata, dict)
    return Authored(
        kind=_text(said.kind),
        content=_text(said.content),
        title=_text(said.title),
        subtitle=_text(said.subtitle),
        narrative=_text(said.narrative),
        facts=_texts(said.facts),
        concepts=_texts(said.concepts),
        files_read=_texts(said.files_read),
        files_modified=_texts(said.files_modified),
        metadata=metadata,
    )


def _text(text: str | None) -> str | None:
    return None if text is None else protect_text(text)


def _texts(texts: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(kept for text in texts if (kept := protect_text(text)).strip())


def _check(draft: Draft) -> None:
    issues = [
        Issue(path, "has nothing to show once private text is cut", "empty")
        for path, text in (("$.content", content_of(draft)), ("$.title", draft.title), ("$.kind", draft.kind))
        if not one_line(text)
    ]
    paths = (*draft.files_read, *draft.files_modified)
    if any(len(path.encode()) > _MOST_PATH_BYTES for path in paths):
        issues.append(Issue("$", f"names a file by more than {_MOST_PATH_BYTES} bytes", "too_long"))
    searched = (draft.title, draft.subtitle, draft.narrative, *draft.facts, *draft.concepts, *paths)
    if sum(len(text.encode()) for text in searched) > _MOST_SEARCHED_BYTES:
        issues.append(Issue("$", f"holds more than {_MOST_SEARCHED_BYTES // 1024} KiB of text", "too_long"))
    if issues:
        raise InvalidInput(f"The observation is not valid: {issues[0].path} {issues[0].message}.", issues)
