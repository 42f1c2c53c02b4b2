"""The members that requests share: texts and numbers with the bounds that the store sets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, Struct

from ..domain.errors import Issue
from .instants import MAX_EPOCH_MS, from_epoch_ms
from .validation import invalid

# The longest texts that are part of an index: a btree row holds 2.7 kB, a character of UTF-8 up to 4 bytes.
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
ExternalId = Annotated[str, Meta(min_length=1, max_length=400)]
Question = Annotated[str, Meta(min_length=1, max_length=4000)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096)]
# An observation's id, or the eight digits that a page shows of it; blanks around it do not matter.
ObservationName = Annotated[
    str,
    Meta(
        pattern=r"^\s*([0-9A-Fa-f]{8}|[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\s*$",
        max_length=64,
        description="must be an id, or the eight digits that a page shows of one",
    ),
]
Cursor = Annotated[str, Meta(min_length=1, max_length=200)]
PageSize = Annotated[int, Meta(ge=1, le=200)]
Epoch = Annotated[int, Meta(ge=0, le=MAX_EPOCH_MS)]
Instant = Epoch | Annotated[datetime, Meta(tz=True)]


class ExactlyOne(Struct, frozen=True):
    """A request that names a thing in one of several ways, never in two; OpenAPI is told so too."""

    exactly_one: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        given = [name for name in self.exactly_one if getattr(self, name) not in (None, UNSET)]
        if len(given) != 1:
            names = self.wire_names()
            raise ValueError(f"needs {'either ' if len(names) == 2 else 'one of '}{' or '.join(names)}")

    @classmethod
    def wire_names(cls) -> list[str]:
        """Return how these members are called in JSON."""
        named = dict(zip(cls.__struct_fields__, cls.__struct_encode_fields__, strict=True))
        return [named[name] for name in cls.exactly_one]


def instant(moment: int | datetime) -> datetime:
    """Read an instant in either of its forms; raises InvalidInput for one that UTC has no year for."""
    if isinstance(moment, int):
        return from_epoch_ms(moment)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise invalid([Issue("$", "names an instant outside of the years 1 to 9999", "out_of_range")]) from None
