"""Text that is safe to store and to show: scrubbing, capping, one line, a token estimate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

REPLACEMENT = "\ufffd"
# Postgres refuses NUL in text and lone surrogates in UTF-8; SQLite would end the text at the NUL.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Everything that moves the cursor, reorders or hides text: C0 without tab and newline, DEL and C1, soft hyphen,
# bidirectional marks, zero-width blanks (not the joiners, which scripts and emoji need), line and paragraph
# separators, variation selectors, Unicode tags.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0e\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)
_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_SPACE = re.compile(r"\s+")
_HEAD_PERCENT = 70


def scrub(text: str) -> str:
    """Replace what no store accepts (NUL and lone surrogates) by U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return _UNSTORABLE.sub(REPLACEMENT, text)


def neutralise(text: str) -> str:
    """Drop terminal sequences and every character that hides, reorders or overwrites text; keep tabs and newlines."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub("", _TERMINAL_SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def cap(text: str, limit: int) -> str:
    """Cut the middle out of text longer than `limit` characters and say how much is missing; keep head and tail.

    The result is never longer than `limit`.
    """
    if len(text) <= limit:
        return text
    mark = f" […{len(text) - limit} or more characters cut…] "
    if limit < 2 * len(mark):
        return text[: max(0, limit - 1)] + "…"[:limit]
    kept = limit - len(mark)
    head = kept * _HEAD_PERCENT // 100
    return text[:head] + mark + text[len(text) - (kept - head) :]


def one_line(text: str, limit: int | None = None) -> str:
    """Fold all white space into single blanks; cut at a word's end, marked with an ellipsis, where a limit is given."""
    line = _SPACE.sub(" ", neutralise(text)).strip()
    if limit is None or len(line) <= limit:
        return line
    cut = line[: limit - 1]
    at_word = cut.rfind(" ")
    return (cut[:at_word] if at_word > limit * 2 // 3 else cut).rstrip(" ,;:-–—(") + "…"


def estimated_tokens(text: str) -> int:
    """Estimate a language model's tokens: a quarter for each ASCII character, one for every other; rounded up."""
    ascii_characters = len(text.encode("ascii", "ignore"))
    return -(-ascii_characters // 4) + len(text) - ascii_characters


def cap_json(value: dict[str, object], string_limit: int, total_limit: int) -> dict[str, object]:
    """Cap each string at `string_limit` characters, and all of it at `total_limit` bytes of UTF-8 JSON.

    Where the whole is too large, the longest strings and lists are cut first; what cannot be made to fit that way is
    kept as capped JSON text of each member.
    """
    for characters, items in _steps(string_limit):
        capped = {key: _capped(member, characters, items) for key, member in value.items()}
        if _json_bytes(capped) <= total_limit:
            return capped
    members = list(value.items())[:64]
    share = total_limit // (len(members) or 1) // 8
    return {cap(key, 64): cap(json.dumps(member, ensure_ascii=False), share) for key, member in members}


def _steps(string_limit: int) -> Iterator[tuple[int, int]]:
    items = 5000
    while string_limit >= 64:
        yield string_limit, items
        string_limit, items = string_limit // 4, max(8, items // 4)


def _capped(value: object, characters: int, items: int) -> object:
    match value:
        case str():
            return cap(value, characters)
        case dict():
            return {
                cap(str(key), characters): _capped(member, characters, items) for key, member in _first(value, items)
            }
        case list():
            kept: list[object] = [_capped(member, characters, items) for member in value[:items]]
            return [*kept, f"[…{len(value) - items} more items cut…]"] if len(value) > items else kept
        case _:
            return value


def _first(members: dict[object, object], items: int) -> list[tuple[object, object]]:
    listed = list(members.items())
    more: list[tuple[object, object]] = (
        [("…", f"[…{len(listed) - items} more members cut…]")] if len(listed) > items else []
    )
    return listed[:items] + more


def _json_bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
