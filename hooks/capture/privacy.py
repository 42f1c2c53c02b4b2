"""Cut `<private>…</private>` out of a hook's JSON, string by string, leaving every other byte as it was."""

from __future__ import annotations

from .document import quoted, scanstring

# How the tag may stand in JSON: as itself, with its bracket escaped, or with letters escaped (which no client does).
_ESCAPED_LETTERS = (b"\\u004", b"\\u005", b"\\u006", b"\\u0070", b"\\u0072", b"\\u0074", b"\\u0076")
_SIGNS = (b"<private", b"\\u003cprivate", *_ESCAPED_LETTERS)
_OPENING = b"<private"
_CLOSING = b"</private"
_BLANKS = b" \t\r\n\f\v"


def may_hold_private(body: bytes) -> bool:
    """Whether the text is worth a closer look; nearly always no."""
    lowered = body.lower()
    return any(sign in lowered for sign in _SIGNS)


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
    """Cut private text from one string: tags in any case, nested ones as one; an unclosed one cuts to the end."""
    # In UTF-8 lower-casing ASCII keeps every position; str.lower() does not.
    content = value.encode("utf-8", "surrogatepass")
    lowered = content.lower()
    if _OPENING not in lowered:
        return value
    kept: list[bytes] = []
    depth = copied = 0
    position = lowered.find(b"<")
    while position >= 0:
        opened = _tag_end(lowered, position, _OPENING)
        closed = 0 if opened or not depth else _tag_end(lowered, position, _CLOSING)
        if opened:
            if not depth:
                kept.append(content[copied:position])
            depth += 1
        elif closed:
            depth -= 1
            copied = closed
        position = lowered.find(b"<", opened or closed or position + 1)
    if not depth:
        kept.append(content[copied:])
    left = b"".join(kept).decode("utf-8", "surrogatepass")
    return left if left.strip() else ""  # so that a wholly private prompt is known by being empty


def _tag_end(lowered: bytes, start: int, name: bytes) -> int:
    """Find where a tag that begins at `start` ends; 0 when there is none."""
    if not lowered.startswith(name, start):
        return 0
    end = start + len(name)
    while lowered[end : end + 1] and lowered[end] in _BLANKS:
        end += 1
    return end + 1 if lowered[end : end + 1] == b">" else 0
