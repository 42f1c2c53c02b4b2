"""Opaque page cursors: where the page before ended."""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import datetime

from ..domain.errors import InvalidInput, Issue
from ..domain.instants import from_milliseconds, to_milliseconds

_FORM = struct.Struct(">qq")


def write_cursor(created_at: datetime, sequence: int) -> str:
    """Name the last row of a page."""
    return base64.urlsafe_b64encode(_FORM.pack(to_milliseconds(created_at), sequence)).decode()


def read_cursor(cursor: str) -> tuple[datetime, int]:
    """Read a cursor back; raises InvalidInput for any text that write_cursor did not make."""
    try:
        milliseconds, sequence = _FORM.unpack(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
        return from_milliseconds(milliseconds), sequence
    except (ValueError, OverflowError, binascii.Error, struct.error):
        message = "cursor must be the nextCursor of the page before"
        raise InvalidInput(message, (Issue("$.cursor", message, "invalid_cursor"),)) from None
