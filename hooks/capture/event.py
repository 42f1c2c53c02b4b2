"""One captured event: its identity, fixed before the first try, and the request that POST and spool both carry."""

from __future__ import annotations

import os
import time

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


class Event:
    """A hook event on its way to the runtime; `body` is what is sent, already without private text."""

    __slots__ = ("body", "headers", "id", "name", "occurred_at_ms")

    def __init__(self, name: str, body: bytes) -> None:
        self.name = name
        self.body = body
        self.occurred_at_ms = time.time_ns() // 1_000_000
        self.id = new_event_id(self.occurred_at_ms)
        self.headers = [
            ("Content-Type", "application/json"),
            ("X-Claude-Mem-Event-Id", self.id),
            ("X-Claude-Mem-Occurred-At", str(self.occurred_at_ms)),
        ]

    @property
    def path(self) -> str:
        """The route of this event below the runtime's address."""
        return f"/v1/hooks/claude-code/{self.name}"

    @property
    def header_lines(self) -> bytes:
        """The headers that belong to the event, whichever way it travels."""
        return "".join(f"{name}: {value}\r\n" for name, value in self.headers).encode("ascii")

    @property
    def spool_name(self) -> str:
        """The name of its spool file: in order of time, then unique."""
        return f"{self.occurred_at_ms:015d}-{self.id}.http"

    @property
    def spool_content(self) -> bytes:
        """The request without what depends on the receiver (Host, Authorization, Content-Length)."""
        return b"POST %s HTTP/1.1\r\n%s\r\n%s" % (self.path.encode("ascii"), self.header_lines, self.body)


def new_event_id(now_ms: int) -> str:
    """Make a UUID of version 7: 48 bits of time, the rest random."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (now_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def percent_encoded(text: str) -> str:
    """Write any text (a path too) in the characters a header can carry."""
    try:
        content = os.fsencode(text)
    except UnicodeEncodeError:
        content = text.encode("utf-8", "replace")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in content)


def percent_decoded(text: str) -> str:
    """Read back what `percent_encoded` wrote."""
    first, *rest = text.encode("ascii").split(b"%")
    return os.fsdecode(first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest))
