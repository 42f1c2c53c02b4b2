"""Compare an answer with what a case expects; say where they differ.

A literal expects itself. An object expects its members and lets others be; a list expects exactly its items. An object
whose only member begins with `$` is an operator (see `_OPERATORS`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID


def differences(wanted: object, found: object, path: str = "$") -> list[str]:
    """List what is different, each with its place; empty when the answer is as expected."""
    return list(_differences(wanted, found, path))


def _differences(wanted: object, found: object, path: str) -> Iterator[str]:
    match wanted:
        case dict() if len(wanted) == 1 and (name := next(iter(wanted))).startswith("$"):
            if not _OPERATORS[name](wanted[name], found):
                yield f"{path}: wanted {name} {wanted[name]!r}, found {_shortened(found)}"
        case dict() if isinstance(found, dict):
            for name, member in wanted.items():
                if name in found:
                    yield from _differences(member, found[name], f"{path}.{name}")
                else:
                    yield f"{path}.{name}: is missing from {_shortened(found)}"
        case list() if isinstance(found, list) and len(found) == len(wanted):
            for index, (item, other) in enumerate(zip(wanted, found, strict=True)):
                yield from _differences(item, other, f"{path}[{index}]")
        case _:
            if type(wanted) is not type(found) or wanted != found:
                yield f"{path}: wanted {wanted!r}, found {_shortened(found)}"


def _is_uuid(found: object) -> bool:
    try:
        return isinstance(found, str) and str(UUID(found)) == found
    except ValueError:
        return False


def _has_all(words: object, found: object) -> bool:
    return isinstance(found, str) and isinstance(words, list) and all(word in found for word in words)


def _has_none(words: object, found: object) -> bool:
    return isinstance(found, str) and isinstance(words, list) and not any(word in found for word in words)


def _is_at_most(limit: object, found: object) -> bool:
    return isinstance(found, str | list) and isinstance(limit, int) and len(found) <= limit


def _items(found: object) -> list[object]:
    return found if isinstance(found, list) else []


def _is_number(found: object) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)


_TYPES: dict[str, Callable[[object], bool]] = {
    "uuid": _is_uuid,
    "number": _is_number,
    "text": lambda found: isinstance(found, str) and found != "",
    "list": lambda found: isinstance(found, list),
    "object": lambda found: isinstance(found, dict),
}

_OPERATORS: dict[str, Callable[[object, object], bool]] = {
    "$is": lambda wanted, found: _TYPES[str(wanted)](found),
    "$exactly": lambda wanted, found: wanted == found,
    "$contains": _has_all,
    "$lacks": _has_none,
    "$length": lambda wanted, found: isinstance(found, list) and len(found) == wanted,
    "$longest": _is_at_most,
    "$some": lambda wanted, found: any(not differences(wanted, item) for item in _items(found)),
    "$no": lambda wanted, found: isinstance(found, list) and all(differences(wanted, item) for item in found),
    "$every": lambda wanted, found: isinstance(found, list) and not any(differences(wanted, item) for item in found),
    "$both": lambda wanted, found: isinstance(wanted, list) and not any(differences(one, found) for one in wanted),
}


def _shortened(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 400 else f"{text[:400]}…"
