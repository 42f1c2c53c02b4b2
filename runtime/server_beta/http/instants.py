"""Instants on the wire: integer milliseconds since the epoch, exact in both directions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_EPOCH_MS = 253_402_300_799_999

_MILLISECOND = timedelta(milliseconds=1)


def from_epoch_ms(milliseconds: int) -> datetime:
    """Read milliseconds; `fromtimestamp(ms / 1000)` would round."""
    return EPOCH + milliseconds * _MILLISECOND


def to_epoch_ms(moment: datetime) -> int:
    """Write an aware instant as milliseconds, rounded down."""
    return (moment - EPOCH) // _MILLISECOND
