"""Plain JSON values into request types, with every issue found, not the first alone."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from multidict import MultiMapping

from ..domain.errors import InvalidInput, Issue
from .body import storable

T = TypeVar("T")
StructT = TypeVar("StructT", bound=msgspec.Struct)

_MAX_MESSAGE_CHARACTERS = 300
# A body of 5 MiB has room for millions of wrong items; nobody reads more than these.
_MOST_ISSUES = 100
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
# As JSON writes it, and never so long that reading it costs anything.
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")


def checked(value: object, wanted: type[T]) -> T:
    """Convert a decoded body; raises InvalidInput that lists every issue with its JSON path."""
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        # JSON knows one kind of number: `3.0` is an integer, which its decoder could not know.
        mended = _with_integers(value, wanted)
    try:
        return msgspec.convert(mended, wanted)
    except msgspec.ValidationError as error:
        first = error
    raise invalid(list(islice(_issues(mended, wanted, "$"), _MOST_ISSUES)) or [_issue(first, wanted, "$")])


def checked_query(query: MultiMapping[str], wanted: type[StructT]) -> StructT:
    """Convert query parameters, which are all text; a name that is unknown or given twice is an issue too."""
    repeated = [name for name in dict.fromkeys(query) if len(query.getall(name)) > 1]
    if repeated:
        raise invalid([Issue(f"$.{name}", "Give this parameter once", "repeated") for name in repeated])
    kinds = _kinds(wanted)
    return checked({name: _read(text, kinds.get(name, str)) for name, text in query.items()}, wanted)


def _read(text: str, wanted: Any) -> object:
    """Read a parameter as what is wanted; text that cannot be read so stays text, and is found wrong later."""
    members = _members(wanted)
    if bool in members and text in _FLAGS:
        return _FLAGS[text]
    if int in members and _INTEGER.fullmatch(text):
        return int(text)
    return storable(text)


def _with_integers(value: object, wanted: Any) -> object:
    match value:
        case float() if int in _members(wanted) and value.is_integer():
            return int(value)
        # A list that is too long is refused anyway, however many items it has.
        case list() if _length_issue(value, wanted, "") is None:
            items = next((get_args(member)[0] for member in _members(wanted) if get_origin(member) is list), None)
            return value if items is None else [_with_integers(item, items) for item in value]
        case dict():
            kinds = {name: kind for member in _members(wanted) for name, kind in _kinds(member).items()}
            return {name: _with_integers(item, kinds.get(name)) for name, item in value.items()} if kinds else value
        case _:
            return value


@cache
def _kinds(wanted: Any) -> Mapping[str, Any]:
    """Return the type of each member of an object; nothing for what is none."""
    if not (isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)):
        return {}
    return {field.encode_name: field.type for field in msgspec.structs.fields(wanted)}


def invalid(issues: Sequence[Issue]) -> InvalidInput:
    """Make the error that lists these issues and speaks of the first."""
    return InvalidInput(f"The request is not valid: {issues[0].path} {issues[0].message}.", issues)


def _issues(value: object, wanted: Any, path: str) -> Iterator[Issue]:
    """Find what is wrong: msgspec stops at its first finding, so each part is asked on its own."""
    if isinstance(value, list) and (wrong := _length_issue(value, wanted, path)):
        yield wrong
        return
    is_part_wrong = False
    for issue in _parts_issues(value, wanted, path):
        is_part_wrong = True
        yield issue
    if is_part_wrong:
        return
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        yield _issue(error, wanted, path)


def _parts_issues(value: object, wanted: Any, path: str) -> Iterator[Issue]:
    for member in _members(wanted):
        if isinstance(value, dict) and isinstance(member, type) and issubclass(member, msgspec.Struct):
            yield from _struct_issues(value, member, path)
        elif isinstance(value, list) and get_origin(member) is list:
            for index, item in enumerate(value):
                yield from _issues(item, get_args(member)[0], f"{path}[{index}]")


def _length_issue(value: Sequence[object], wanted: Any, path: str) -> Issue | None:
    for meta in getattr(wanted, "__metadata__", ()):
        least, most = meta.min_length or 0, meta.max_length
        if len(value) < least or (most is not None and len(value) > most):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            return Issue(path, f"must hold {bounds} items; this one holds {len(value)}", "invalid_length")
    return None


def _struct_issues(value: Mapping[str, object], wanted: type[msgspec.Struct], path: str) -> Iterator[Issue]:
    fields = msgspec.structs.fields(wanted)
    for field in fields:
        if field.encode_name in value:
            yield from _issues(value[field.encode_name], field.type, f"{path}.{field.encode_name}")
        elif field.required:
            yield Issue(f"{path}.{field.encode_name}", "is required", "required")
    if wanted.__struct_config__.forbid_unknown_fields:
        known = {field.encode_name for field in fields}
        for name in value.keys() - known:
            yield Issue(f"{path}.{name}", "is not known here", "unknown")


def _members(wanted: Any) -> tuple[Any, ...]:
    """List the types that a union or an annotated type stands for."""
    if get_origin(wanted) is Annotated:
        return _members(get_args(wanted)[0])
    if get_origin(wanted) in {Union, types.UnionType}:
        return tuple(inner for member in get_args(wanted) for inner in _members(member))
    return (wanted,)


def _issue(error: msgspec.ValidationError, wanted: Any, path: str) -> Issue:
    text, _, inner = str(error).partition(" - at `$")
    literals = [member for member in _members(wanted) if get_origin(member) is Literal]
    choices = [str(choice) for literal in literals for choice in get_args(literal)]
    if choices:
        # msgspec would quote the value, however long it is.
        return Issue(path, f"must be one of {', '.join(choices)}", "invalid_choice")
    if "matching regex" in text and (told := _explained(wanted)):
        return Issue(path, told, "invalid_value")
    code = "invalid_type" if ", got `" in text else "invalid_value"
    return Issue(path + inner.rstrip("`"), text[:_MAX_MESSAGE_CHARACTERS].replace("`", ""), code)


def _explained(wanted: Any) -> str | None:
    """Return what a pattern means, in words."""
    return next((meta.description for meta in getattr(wanted, "__metadata__", ()) if meta.pattern), None)
