"""Opaque page cursors: of which list, and where its page before ended."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from ..domain.errors import Issue
from .instants import EPOCH
from .validation import invalid

_MICROSECOND = timedelta(microseconds=1)
# 6 + 8 + 16 bytes are 40 characters of base64, without padding.
_MARK_BYTES = 6


def write_cursor(of: str, created_at: datetime, row_id: UUID) -> str:
    """Name the last row of a page of the list `of`, to the microsecond that Postgres keeps."""
    raw = _mark(of) + ((created_at - EPOCH) // _MICROSECOND).to_bytes(8, "big") + row_id.bytes
    return base64.urlsafe_b64encode(raw).decode()


def read_cursor(of: str, cursor: str) -> tuple[datetime, UUID]:
    """Read a cursor back; raises InvalidInput for any text that write_cursor did not make for the same list."""
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        mark, moment, row_id = raw[:_MARK_BYTES], raw[_MARK_BYTES:-16], UUID(bytes=raw[-16:])
        created_at = EPOCH + int.from_bytes(moment, "big") * _MICROSECOND
    except (ValueError, OverflowError, binascii.Error):
        raise _foreign() from None
    if mark != _mark(of) or len(moment) != 8:
        raise _foreign()
    return created_at, row_id


def _mark(of: str) -> bytes:
    return sha256(of.encode()).digest()[:_MARK_BYTES]


def _foreign() -> Exception:
    return invalid([Issue("$.cursor", "must be the nextCursor of the page before", "invalid_cursor")])
