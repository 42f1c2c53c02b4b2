"""Identifiers: random time-ordered ones for rows, derived ones for what must be the same on every retry."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from datetime import datetime
from typing import NewType

TeamId = NewType("TeamId", uuid.UUID)
ProjectId = NewType("ProjectId", uuid.UUID)
SessionId = NewType("SessionId", uuid.UUID)
EventId = NewType("EventId", uuid.UUID)
JobId = NewType("JobId", uuid.UUID)
ObservationId = NewType("ObservationId", uuid.UUID)
ApiKeyId = NewType("ApiKeyId", uuid.UUID)

# The root of every derived id. Changing it orphans every turn, batch and summary ever stored.
_NAMESPACE = uuid.UUID("6f1d4b52-6a43-5b0e-9d0c-3c6c0b6f7e11")


def new_id() -> uuid.UUID:
    """Make a UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def first_id_at(instant: datetime) -> uuid.UUID:
    """Return the lowest id that `new_id` can make at an instant or later."""
    return uuid.UUID(int=int(instant.timestamp() * 1000) << 80)


def derived_id(kind: str, *parts: object) -> uuid.UUID:
    """Derive the UUID that always names the same thing, from its kind and what identifies it."""
    return uuid.uuid5(_NAMESPACE, "\x1f".join((kind, *map(str, parts))))


def digest(*parts: object) -> str:
    """Return the hex SHA-256 of the parts, separated so that ("ab", "c") differs from ("a", "bc")."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def short_id(full: uuid.UUID) -> str:
    """Name a row in eight characters: the id's last ones, because the first are the time and alike within a minute."""
    return full.hex[-8:]
