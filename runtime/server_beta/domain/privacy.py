"""What must not be kept: text inside private tags, and secrets. `protect` is applied before anything is written."""

from __future__ import annotations

import math
import re
from collections import Counter

from .redaction import redact
from .secret_forms import REDACTED, is_secret_member
from .text import cap, scrub

TAGS = (
    "private",
    "claude-mem-context",
    "system-reminder",
    "system_instruction",
    "system-instruction",
    "persisted-output",
)

# Deeper JSON than any client sends; walking it must not exhaust the stack, nor writing it out again.
MAX_DEPTH = 100
_TOO_DEEP = "[cut: nested too deeply]"
_MARGIN = 16 * 1024


def protect(value: object, string_limit: int | None = None) -> object:
    """Return JSON `value` without private text, secrets or characters that no store accepts; keys included.

    Where a caller will cap strings at `string_limit` anyway, the middle that it drops is not searched for secrets.
    """
    return _protected(value, string_limit, 0)


def protect_text(text: str, limit: int | None = None) -> str:
    """Return the text without private passages, secrets or characters that no store accepts."""
    public = cut_tags(scrub(text))
    # The margin holds every secret that lies across the later cut: it is found whole, and redacted.
    return redact(public if limit is None else cap(public, limit + _MARGIN))


_NAMES = "|".join(TAGS)
# Blanks may stand around a name, or attributes behind it; with both it is a comparison in somebody's code.
_TAG = re.compile(rf"<(?:\s*+(/?+)\s*+({_NAMES})\s*+/?+|(/?+)({_NAMES})\s[^<>]*+)>", re.IGNORECASE)


def cut_tags(text: str) -> str:
    """Keep only what lies outside every private tag; a tag that is never closed reaches to the end.

    One pass over the text, whatever it holds. Tags of different names may cross: text is kept while none is open.
    """
    if "<" not in text:
        return text
    kept: list[str] = []
    depth: Counter[str] = Counter()
    begin = 0
    for tag in _TAG.finditer(text):
        name = (tag[2] or tag[4]).lower()
        if not depth:
            kept.append(text[begin : tag.start()])
        if not (tag[1] or tag[3]):
            depth[name] += 1
        elif depth[name] > 1:
            depth[name] -= 1
        else:
            del depth[name]
        begin = tag.end()
    if not depth:
        kept.append(text[begin:])
    return "".join(kept)


def _protected(value: object, limit: int | None, depth: int) -> object:
    if depth > MAX_DEPTH:
        return _TOO_DEEP
    match value:
        case str():
            return protect_text(value, limit)
        case dict():
            return {
                protect_text(str(key), limit): _protected_member(str(key), member, limit, depth + 1)
                for key, member in value.items()
            }
        case list() | tuple():
            return [_protected(member, limit, depth + 1) for member in value]
        case _:
            return _storable(value)


def _protected_member(name: str, value: object, limit: int | None, depth: int) -> object:
    if isinstance(value, list):
        # Several passwords are each one.
        return [REDACTED if is_secret_member(name, one) else _protected(one, limit, depth + 1) for one in value]
    return REDACTED if is_secret_member(name, value) else _protected(value, limit, depth)


def _storable(value: object) -> object:
    # JSON has no NaN and no infinity, but Python's reader accepts both and Postgres refuses them.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
