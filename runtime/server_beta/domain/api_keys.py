"""API keys: what is asked for and given, and their text.

The text is `cmem_`, 256 random bits in base62, and a checksum that catches typing mistakes.
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from .ids import ProjectId
from .principals import Scope
from .records import ApiKey

PREFIX = "cmem_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# 62**43 > 2**256 and 62**6 > 2**32: the shortest that hold 256 random bits and a CRC-32.
_BODY_LENGTH = 43
_CHECKSUM_LENGTH = 6

# How long a key goes on after it was rotated, so that its clients can be told the new one.
DEFAULT_GRACE = timedelta(seconds=60)
LONGEST_GRACE = timedelta(days=30)


class KeyStatus(StrEnum):
    """Where a key stands; only an active one opens anything."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to make; without a project it is for the maker's: the whole team's, or the one project of its key."""

    name: str
    scopes: frozenset[Scope]
    project_id: ProjectId | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key, the only time that its text is told."""

    stored: ApiKey
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Which keys to list, newest first; `after` is the last row of the page before."""

    project_id: ProjectId | None = None
    status: KeyStatus | None = None
    after: tuple[datetime, UUID] | None = None
    limit: int = 50


def status_of(key: ApiKey, now: datetime) -> KeyStatus:
    """Tell where a key stands; at the very instant of its expiry it has expired."""
    if key.revoked_at is not None:
        return KeyStatus.REVOKED
    return KeyStatus.EXPIRED if key.expires_at is not None and key.expires_at <= now else KeyStatus.ACTIVE


def new_key() -> str:
    """Make a key of 256 random bits."""
    body = _base62(secrets.randbits(256), _BODY_LENGTH)
    return f"{PREFIX}{body}{_checksum(body)}"


def is_well_formed(key: str) -> bool:
    """Whether the text can be a key at all, so that rubbish never costs a query."""
    body, checksum = key[len(PREFIX) : -_CHECKSUM_LENGTH], key[-_CHECKSUM_LENGTH:]
    return key.startswith(PREFIX) and len(body) == _BODY_LENGTH and key.isascii() and checksum == _checksum(body)


def hash_key(key: str) -> bytes:
    """Return what is stored of a key. A plain SHA-256 suffices: 256 random bits cannot be guessed."""
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
