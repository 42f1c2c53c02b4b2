"""Make a body fit that the runtime would refuse for its size: long strings keep head and tail, all else stays."""

from __future__ import annotations

from .document import parse_object, quoted, scanstring

_MARGIN_BYTES = 64 * 1024
_FIRST_CAP_BYTES = 1024 * 1024
_LAST_CAP_BYTES = 256
_MEMBER_MAX_CHARACTERS = 4096


def shrunk(body: bytes, limit: int) -> bytes:
    """Cut the longest strings of a JSON text until it is below `limit` bytes; raises ValueError if not JSON."""
    text = body.decode("utf-8")
    strings = _strings(text)
    target = limit - _MARGIN_BYTES
    cap = _FIRST_CAP_BYTES
    while cap >= _LAST_CAP_BYTES:
        if len(body) - sum(size - cap for _, _, size in strings if size > cap) <= target:
            return _with_capped_strings(text, strings, cap).encode("utf-8")
        cap //= 2
    return _outline(text).encode("ascii")


def _strings(text: str) -> list[tuple[int, int, int]]:
    found = []
    position = text.find('"')
    while position >= 0:
        _, end = scanstring(text, position + 1, True)
        if end - position > _LAST_CAP_BYTES // 4:
            found.append((position, end, len(text[position:end].encode("utf-8"))))
        position = text.find('"', end)
    return found


def _with_capped_strings(text: str, strings: list[tuple[int, int, int]], cap: int) -> str:
    kept: list[str] = []
    copied = 0
    for start, end, size in strings:
        if size > cap:
            kept += (text[copied:start], _capped(scanstring(text, start + 1, True)[0], cap))
            copied = end
    kept.append(text[copied:])
    return "".join(kept)


def _capped(value: str, cap: int) -> str:
    """Write a string in at most `cap` bytes of JSON, its middle replaced by a mark."""
    half = min(len(value), cap) // 2
    while True:
        mark = f" […{len(value) - 2 * half} characters cut by claude-mem…] "
        token = quoted(value[:half] + mark + value[len(value) - half :])
        if len(token) <= cap or not half:
            return token
        half = half * 3 // 4


def _outline(text: str) -> str:
    """Keep the short members of the object and only name the rest: for values made of countless small parts."""
    members = parse_object(text)
    if members is None:
        raise ValueError("not a JSON object")
    written = []
    for name, value in members.items():
        if isinstance(value, str):
            # Numbers arrive here as text too; none of those that the runtime reads is needed as a number.
            written.append(f"{quoted(name[:256])}:{quoted(value[:_MEMBER_MAX_CHARACTERS])}")
        elif value is None or isinstance(value, bool):
            written.append(f"{quoted(name[:256])}:{'null' if value is None else str(value).lower()}")
        else:
            written.append(f"{quoted(name[:256])}:{quoted('[…too large, cut by claude-mem…]')}")
    return "{" + ",".join(written[:256]) + "}"
