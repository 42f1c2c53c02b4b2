"""The text of an API key: `cmem_`, 256 random bits in base62, and a checksum that catches typing mistakes."""

from __future__ import annotations

import hashlib
import secrets
import zlib

PREFIX = "cmem_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# 62**43 > 2**256 and 62**6 > 2**32: the shortest that hold 256 random bits and a CRC-32.
_BODY_LENGTH = 43
_CHECKSUM_LENGTH = 6


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
