"""What a client says when it writes or changes an observation itself."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from ..domain.authored import Authored
from .fields import FilePath, Name, Word

Text = Annotated[str, Meta(min_length=1, max_length=256 * 1024)]
OptionalText = Annotated[str, Meta(max_length=256 * 1024)]
Title = Annotated[str, Meta(min_length=1, max_length=1000)]
Facts = Annotated[list[Annotated[str, Meta(max_length=4000)]], Meta(max_length=200)]
Concepts = Annotated[list[Name], Meta(max_length=200)]
FilePaths = Annotated[list[FilePath], Meta(max_length=1000)]

_NOT_BOTH = "takes content or narrative, not both: content is the whole text"


class NewObservation(Struct, rename="camel", frozen=True):
    """An observation as one text (`content`), or in parts; with a title beside it, `content` stays the whole text."""

    rules: ClassVar[dict[str, object]] = {
        "anyOf": [
            {"required": ["title"], "properties": {"title": {"type": "string"}}},
            {"required": ["content"], "properties": {"content": {"type": "string"}}},
            {"required": ["narrative"], "properties": {"narrative": {"type": "string", "minLength": 1}}},
        ],
        "not": {
            "required": ["content", "narrative"],
            "properties": {"content": {"type": "string"}, "narrative": {"type": "string"}},
        },
    }

    project_id: UUID
    kind: Word | None = None
    content: Text | None = None
    server_session_id: UUID | None = None
    metadata: dict[str, object] | None = None
    title: Title | None = None
    subtitle: OptionalText | None = None
    narrative: OptionalText | None = None
    facts: Facts | None = None
    concepts: Concepts | None = None
    files_read: FilePaths | None = None
    files_modified: FilePaths | None = None

    def __post_init__(self) -> None:
        if self.content is None and self.title is None and not self.narrative:
            raise ValueError("needs content, title or narrative")
        if self.content is not None and self.narrative is not None:
            raise ValueError(_NOT_BOTH)

    def to_domain(self) -> Authored:
        """Give what was said."""
        return _said(self)


class ObservationChange(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """What to change; a member that is absent stays as it is, one that is present replaces the whole of the old."""

    rules: ClassVar[dict[str, object]] = {"minProperties": 1, "not": {"required": ["content", "narrative"]}}

    kind: Word | UnsetType = UNSET
    content: Text | UnsetType = UNSET
    metadata: dict[str, object] | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    subtitle: OptionalText | UnsetType = UNSET
    narrative: OptionalText | UnsetType = UNSET
    facts: Facts | UnsetType = UNSET
    concepts: Concepts | UnsetType = UNSET
    files_read: FilePaths | UnsetType = UNSET
    files_modified: FilePaths | UnsetType = UNSET

    def __post_init__(self) -> None:
        if all(value is UNSET for value in asdict(self).values()):
            raise ValueError("needs at least one member to change")
        if self.content is not UNSET and self.narrative is not UNSET:
            raise ValueError(_NOT_BOTH)

    def to_domain(self) -> Authored:
        """Give what was said."""
        return _said(self)


def _said(body: NewObservation | ObservationChange) -> Authored:
    return Authored(
        kind=body.kind or None,
        content=body.content or None,
        title=body.title or None,
        subtitle=_given(body.subtitle),
        narrative=_given(body.narrative),
        facts=_tuple(body.facts),
        concepts=_tuple(body.concepts),
        files_read=_tuple(body.files_read),
        files_modified=_tuple(body.files_modified),
        metadata=None if body.metadata is UNSET else body.metadata,
    )


def _given(text: str | UnsetType | None) -> str | None:
    return None if text is UNSET else text


def _tuple(texts: list[str] | UnsetType | None) -> tuple[str, ...] | None:
    return None if texts is None or texts is UNSET else tuple(texts)
