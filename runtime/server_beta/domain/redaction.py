"""Secrets in text: every form that secret_forms.py knows, found without running every pattern over every text."""

from __future__ import annotations

import re
import string
from typing import AnyStr

from .secret_forms import RULES, TOKENS, cut_assignments, cut_curl_passwords, cut_key_blocks

# `pwd=1234` is the shortest text that a rule can match.
_SHORTEST = 8
# Each character of a word as `w`, whatever stands between words as a blank.
_OUTLINE = bytes(ord("w" if chr(code) in string.ascii_letters + string.digits + "_/+-" else " ") for code in range(256))
# No shorter word is a token of an issuer.
_LONG_WORD = b"w" * 20
_BEGINNINGS = tuple(begin for token in TOKENS for begin in token.beginnings if not token.is_short)
_TOKEN_NEEDLES = tuple(begin for token in TOKENS for begin in token.beginnings if token.is_short)
# The long word of these comes after their dot.
_LEADS = tuple(begin for begin in _BEGINNINGS if begin[-1] in ".=")
_HEADS = frozenset(begin[:2] for begin in _BEGINNINGS)
_LEAD_ENDS = frozenset(lead[-1] for lead in _LEADS)
# What calls for a look at its line. The first one matters only where an `@` follows.
_PLACE_NEEDLES = (b"://", b"authorization", b"cookie:", b"bearer")
# What names a secret does so too, behind a dash (`--password x`, `X-Api-Key: x`) or where a value is assigned to it.
_NAME_NEEDLES = (b"pass", b"pwd", b"secret", b"credential", b"token", b"key", b"sig")
_NAMED = re.compile(
    rb"(?<=-)(?:pass|secret|token)|(?<=-api-)key|"
    rb"(?:password|passwd|passphrase|pwd|secret|credentials?|token|key(?:[_-]?id)?|sig(?:nature)?)"
    rb"\\?[\"'`]?\]?[ \t]{0,8}(?:=>|:=|[:=])[ \t]{0,8}\\?[\"'`]?[^\s\"'`\\,;(){}<>&|]{4}"
)


def redact(text: str) -> str:
    """Replace every secret that is known by its form, or by the name it is assigned to, with `[redacted]`.

    Hardly any text holds one, so what costs time is to find that out: cheap searches over the whole text say which
    patterns to run, and where a pattern never spans lines, it runs on the few lines that called for it.
    """
    if len(text) < _SHORTEST or (len(text) < len(_LONG_WORD) and text.isidentifier()):
        return text
    if "PRIVATE KEY" in text:
        text = cut_key_blocks(text)
    plain = _plain(text)
    if _may_hold_token(text, plain):
        for token in TOKENS:
            if _holds(text, token.beginnings):
                text = token.pattern.sub(token.replacement, text)
    if not (":" in text or "=" in text or " " in text or "\t" in text):
        return text
    if b"curl" in plain:
        text = cut_curl_passwords(text)
    return _redact_lines(text) if _suspicious_places(plain) else text


def _plain(text: str) -> bytes:
    """Write the text in lower case, one byte for each character: what is not ASCII is part of no needle."""
    return text.encode("ascii", "replace").lower()


def _may_hold_token(text: str, plain: bytes) -> bool:
    if _holds(text, _TOKEN_NEEDLES):
        return True
    outline = plain.translate(_OUTLINE)
    begin = outline.find(_LONG_WORD)
    while begin >= 0:
        # The set is asked first because it answers ten times as fast.
        if text[begin : begin + 2] in _HEADS and text.startswith(_BEGINNINGS, begin):
            return True
        if text[begin - 1 : begin] in _LEAD_ENDS and text.endswith(_LEADS, 0, begin):
            return True
        end = outline.find(b" ", begin)
        begin = outline.find(_LONG_WORD, end) if end >= 0 else -1
    return False


def _suspicious_places(plain: bytes) -> list[int]:
    """Find where a rule or an assignment may match: a place in each line, in any order, and perhaps several."""
    places = []
    for needle in _PLACE_NEEDLES if b"@" in plain else _PLACE_NEEDLES[1:]:
        at = plain.find(needle)
        while at >= 0:
            places.append(at)
            at = plain.find(needle, at + 1)
    for needle in _NAME_NEEDLES:
        at = plain.find(needle)
        while at >= 0:
            if _NAMED.match(plain, at):
                places.append(at)
            at = plain.find(needle, at + 1)
    return places


def _redact_lines(text: str) -> str:
    kept: list[str] = []
    done = 0
    # What was replaced before has moved everything behind it.
    for at in sorted(_suspicious_places(_plain(text))):
        if at >= done:
            begin, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
            end = end if end >= 0 else len(text)
            kept += text[done:begin], _redact_line(text[begin:end])
            done = end
    return "".join(kept) + text[done:]


def _redact_line(line: str) -> str:
    plain = _plain(line)
    for rule in RULES:
        if _holds(plain, rule.needles):
            line = rule.pattern.sub(rule.replacement, line)
    return cut_assignments(line)


def _holds(text: AnyStr, needles: tuple[AnyStr, ...]) -> bool:
    # A plain loop: the generator that `any` wants costs three times as much, on every string of every event.
    for needle in needles:  # noqa: SIM110
        if needle in text:
            return True
    return False
