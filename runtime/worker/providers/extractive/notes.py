"""Events of plain API clients: any event type, any JSON; whatever text there is becomes a note."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ...domain.projects import relative_to_root
from ...domain.text import cap, one_line
from ...domain.turns import Recorded

_TITLE_KEYS = ("title", "summary", "subject", "headline")
_TEXT_KEYS = (
    "text",
    "message",
    "content",
    "body",
    "description",
    "narrative",
    "observation",
    "note",
    "output",
    "result",
    "response",
    "prompt",
    "query",
    "error",
)
_KIND_KEYS = ("kind", "type", "obs_type", "observation_type")
_LABEL_KEYS = ("tool", "tool_name", "name", "source", "action")
_FILE_KEY = re.compile(r"(?:^|_)(?:files?|paths?|filename|file_path|notebook_path)(?:_|$)", re.IGNORECASE)
_MAX_STRINGS = 200
_MAX_TEXT = 4000


@dataclass(frozen=True, slots=True)
class Note:
    """What an API client's event says: a heading where it has one, its main text, other fields, files it names."""

    kind: str
    label: str
    heading: str
    text: str
    fields: tuple[str, ...]
    files: tuple[str, ...]


def note_of(event: Recorded, root: str | None) -> Note | None:
    """Read an event of an unknown type; None when it holds no text at all."""
    strings = list(islice(_strings(event.payload), _MAX_STRINGS))
    files = tuple(
        dict.fromkeys(
            relative_to_root(text.strip(), root)
            for key, text in strings
            if _FILE_KEY.search(key.rpartition(".")[2]) and 0 < len(text.strip()) < 400 and "\n" not in text
        )
    )
    plain = [(key, text) for key, text in strings if text.strip() and relative_to_root(text.strip(), root) not in files]
    heading = _first(plain, _TITLE_KEYS)
    text = _first(plain, _TEXT_KEYS) or heading or max((text for _, text in plain), key=len, default="")
    label = _first(plain, _LABEL_KEYS)
    kind = _first(plain, _KIND_KEYS)
    if not text.strip() and not files:
        return None
    told = {text, heading, label, kind}
    fields = tuple(f"{key}: {one_line(value, 200)}" for key, value in plain if value not in told)[:8]
    return Note(
        kind=one_line(kind, 40).lower(),
        label=one_line(label or event.event_type, 60),
        heading=one_line(heading, 300),
        text=cap(text.strip(), _MAX_TEXT),
        fields=fields,
        files=files[:20],
    )


def _first(strings: list[tuple[str, str]], keys: tuple[str, ...]) -> str:
    """Find the string under the first of these keys, the outermost one first."""
    for key in keys:
        for path, text in sorted(strings, key=lambda item: item[0].count(".")):
            if path.rpartition(".")[2].lower() == key:
                return text
    return ""


def _strings(value: object) -> Iterator[tuple[str, str]]:
    """Give every string with the path of keys that leads to it; members of a list share the list's path."""
    pending: list[tuple[str, object]] = [("", value)]
    while pending:
        path, item = pending.pop()
        match item:
            case str():
                yield path, item
            case bool() | None:
                pass
            case int() | float():
                yield path, str(item)
            case dict():
                pending += [(f"{path}.{key}".lstrip("."), member) for key, member in reversed(item.items())]
            case list():
                pending += [(path, member) for member in reversed(item)]
            case _:
                pass
