"""The members that requests share: texts and numbers with the bounds that the store sets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from ..domain.errors import Issue
from .instants import MAX_EPOCH_MS, from_epoch_ms
from .validation import invalid

# The longest texts that are part of an index: a btree row holds 2.7 kB, a character of UTF-8 up to 4 bytes.
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
ExternalId = Annotated[str, Meta(min_length=1, max_length=400)]
Question = Annotated[str, Meta(min_length=1, max_length=4000)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096)]
Cursor = Annotated[str, Meta(min_length=1, max_length=200)]
PageSize = Annotated[int, Meta(ge=1, le=200)]
Epoch = Annotated[int, Meta(ge=0, le=MAX_EPOCH_MS)]
Instant = Epoch | Annotated[datetime, Meta(tz=True)]


def instant(moment: int | datetime) -> datetime:
    """Read an instant in either of its forms; raises InvalidInput for one that UTC has no year for."""
    if isinstance(moment, int):
        return from_epoch_ms(moment)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise invalid([Issue("$", "names an instant outside of the years 1 to 9999", "out_of_range")]) from None
