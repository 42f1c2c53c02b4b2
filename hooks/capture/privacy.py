"""Cut `<private>…</private>` out of a hook's JSON, string by string, leaving every other byte as it was."""

from __future__ import annotations

from .document import quoted, scanstring

_NAME = "private"
# In JSON the bracket may stand as an escape, and so may the letters, though no client writes them that way.
_BRACKETS = (b"<", b"\\u003c")
_ESCAPED_LETTERS = (b"\\u004", b"\\u005", b"\\u006", b"\\u0070", b"\\u0072", b"\\u0074", b"\\u0076")


def may_hold_private(lowered: bytes) -> bool:
    """Whether a body (in lower case) is worth a closer look."""
    words = (_NAME.encode(), *_ESCAPED_LETTERS)
    return any(bracket in lowered for bracket in _BRACKETS) and any(word in lowered for word in words)


def without_private(text: str) -> str:
    """Cut private text from every string of a JSON text, in one pass; raises ValueError when it is not JSON."""
    kept: list[str] = []
    copied = 0
    position = text.find('"')
    while position >= 0:
        value, end = scanstring(text, position + 1, True)
        cut = cut_private(value)
        if cut != value:
            kept += (text[copied:position], quoted(cut))
            copied = end
        position = text.find('"', end)
    kept.append(text[copied:])
    return "".join(kept)


def cut_private(value: str) -> str:
    """Cut private text from one string: tags in any case, nested ones as one; an unclosed one cuts to the end.

    The runtime reads tags in the same way: blanks, a slash and attributes may stand in them.
    """
    kept: list[str] = []
    depth = copied = 0
    position = value.find("<")
    while position >= 0:
        end, closes = _tag(value, position)
        if end and not closes:
            if not depth:
                kept.append(value[copied:position])
            depth += 1
        elif end and depth:
            depth -= 1
            copied = end
        position = value.find("<", end or position + 1)
    if not kept:
        return value
    if not depth:
        kept.append(value[copied:])
    left = "".join(kept)
    return left if left.strip() else ""  # so that a wholly private prompt is known by being empty


def _tag(value: str, start: int) -> tuple[int, bool]:
    """Find where the tag that begins at `start` ends, 0 when there is none, and whether it is a closing one.

    Never looks beyond the next bracket, so that a text of nothing but beginnings takes no longer than any other.
    """
    limit = value.find("<", start + 1)
    if limit < 0:
        limit = len(value)
    at = _after_blanks(value, start + 1, limit)
    closes = value.startswith("/", at)
    if closes:
        at = _after_blanks(value, at + 1, limit)
    if value[at : at + len(_NAME)].lower() != _NAME:
        return 0, closes
    at += len(_NAME)
    if value.startswith("/>", at):
        return at + 2, closes
    if value[at : at + 1].isspace():
        at = value.find(">", at, limit)
    elif not value.startswith(">", at):
        return 0, closes
    return at + 1, closes


def _after_blanks(value: str, at: int, limit: int) -> int:
    while at < limit and value[at].isspace():
        at += 1
    return at
