"""Opaque page cursors: where the page before ended."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from uuid import UUID

from ..domain.errors import Issue
from .instants import EPOCH
from .validation import invalid

_MICROSECOND = timedelta(microseconds=1)


def write_cursor(created_at: datetime, row_id: UUID) -> str:
    """Name the last row of a page, to the microsecond that Postgres keeps."""
    raw = ((created_at - EPOCH) // _MICROSECOND).to_bytes(8, "big") + row_id.bytes
    return base64.urlsafe_b64encode(raw).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Read a cursor back; raises InvalidInput for any text that write_cursor did not make."""
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        created_at = EPOCH + int.from_bytes(raw[:8], "big") * _MICROSECOND
        row_id = UUID(bytes=raw[8:])
    except (ValueError, OverflowError, binascii.Error):
        raise invalid([Issue("$.cursor", "must be the nextCursor of the page before", "invalid_cursor")]) from None
    return created_at, row_id
