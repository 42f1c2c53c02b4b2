"""Words to index and to ask for: identifiers in their parts, scripts without spaces character by character."""

from __future__ import annotations

import re

# Characters of scripts that are written without spaces: a whole sentence would be one word of the index.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003ffff])"
)
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MOST_TERMS = 32
_PREFIX_CHARACTERS = 3
_SNIPPET_CHARACTERS = 240
_SNIPPET_LEAD = 60
# Words that nearly every text holds; a question of nothing else is asked with them.
_STOP_WORDS = frozenset(
    "a about an and are as at be by can did do does for from had has have how i in is it its me my of on or our that "
    "the their then there these they this to us was we were what when where which who why will with you your".split()
)


def indexable(text: str) -> str:
    """Return the text as the index reads it: unspaced scripts spaced out, the parts of camelCase words added."""
    parts = [part for word in _WORD.findall(text) for part in _parts(word)]
    return _UNSPACED.sub(r" \1 ", " ".join([text, *parts]))


def terms(question: str) -> tuple[str, ...]:
    """Split a question into terms, each once; words that say nothing are left out where others remain."""
    words = [word.lower() for found in _WORD.findall(question) for word in (found, *_parts(found))]
    telling = [word for word in words if word not in _STOP_WORDS]
    return tuple(dict.fromkeys(telling or words))[:_MOST_TERMS]


def any_of(wanted: tuple[str, ...]) -> str:
    """Write the FTS5 expression that matches any term; whatever a term holds, it is quoted and cannot be syntax."""
    return " OR ".join(_expression(term) for term in wanted)


def all_of(wanted: tuple[str, ...]) -> str:
    """Write the FTS5 expression that matches only what has every term."""
    return " AND ".join(f"({_expression(term)})" for term in wanted)


def snippet(text: str, wanted: tuple[str, ...]) -> str:
    """Cut out, on one line, the place where the first term occurs."""
    line = " ".join(text.split())
    lowered = line.lower()
    # Lower-casing may change the length of a text; a place past its end starts the snippet at the beginning.
    places = [place for term in wanted if 0 <= (place := lowered.find(term)) < len(line)]
    begin = max(0, min(places, default=0) - _SNIPPET_LEAD)
    if begin:
        begin = line.find(" ", begin, begin + _SNIPPET_LEAD) + 1 or begin
    cut = line[begin : begin + _SNIPPET_CHARACTERS]
    return ("…" if begin else "") + cut + ("…" if begin + len(cut) < len(line) else "")


def _parts(word: str) -> list[str]:
    parts = _HUMP.split(word)
    return parts if len(parts) > 1 else []


def _expression(term: str) -> str:
    spaced = " ".join(_UNSPACED.sub(r" \1 ", term).split())
    if len(term) < _PREFIX_CHARACTERS or spaced != term:
        return f'"{spaced}"'
    # The whole word counts twice, so that it ranks above words that only begin with it.
    return f'"{term}" OR "{term}"*'
