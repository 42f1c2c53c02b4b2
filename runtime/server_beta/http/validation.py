"""Plain JSON values into request types, with every issue found, not the first alone."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from multidict import MultiMapping

from ..domain.errors import InvalidInput, Issue
from .body import storable

T = TypeVar("T")

_MAX_MESSAGE_CHARACTERS = 300
# A body of 5 MiB has room for millions of wrong items; nobody reads more than these.
_MOST_ISSUES = 100


def checked(value: object, wanted: type[T]) -> T:
    """Convert a decoded body; raises InvalidInput that lists every issue with its JSON path."""
    return _convert(value, wanted, strict=True)


def checked_query(query: MultiMapping[str], wanted: type[T]) -> T:
    """Convert query parameters, which are all text; a name that is unknown or given twice is an issue too."""
    repeated = [name for name in dict.fromkeys(query) if len(query.getall(name)) > 1]
    if repeated:
        raise invalid([Issue(f"$.{name}", "Give this parameter once", "repeated") for name in repeated])
    return _convert(storable(dict(query)), wanted, strict=False)


def _convert(value: object, wanted: type[T], *, strict: bool) -> T:
    try:
        return msgspec.convert(value, wanted, strict=strict)
    except msgspec.ValidationError as error:
        first = error
    raise invalid(list(islice(_issues(value, wanted, "$", strict), _MOST_ISSUES)) or [_issue(first, wanted, "$")])


def invalid(issues: Sequence[Issue]) -> InvalidInput:
    """Make the error that lists these issues and speaks of the first."""
    return InvalidInput(f"The request is not valid: {issues[0].path} {issues[0].message}.", issues)


def _issues(value: object, wanted: Any, path: str, strict: bool) -> Iterator[Issue]:
    """Find what is wrong: msgspec stops at its first finding, so each part is asked on its own."""
    if isinstance(value, list) and (wrong := _length_issue(value, wanted, path)):
        yield wrong
        return
    is_part_wrong = False
    for issue in _parts_issues(value, wanted, path, strict):
        is_part_wrong = True
        yield issue
    if is_part_wrong:
        return
    try:
        msgspec.convert(value, wanted, strict=strict)
    except msgspec.ValidationError as error:
        yield _issue(error, wanted, path)


def _parts_issues(value: object, wanted: Any, path: str, strict: bool) -> Iterator[Issue]:
    for member in _members(wanted):
        if isinstance(value, dict) and isinstance(member, type) and issubclass(member, msgspec.Struct):
            yield from _struct_issues(value, member, path, strict)
        elif isinstance(value, list) and get_origin(member) is list:
            for index, item in enumerate(value):
                yield from _issues(item, get_args(member)[0], f"{path}[{index}]", strict)


def _length_issue(value: Sequence[object], wanted: Any, path: str) -> Issue | None:
    for meta in getattr(wanted, "__metadata__", ()):
        least, most = meta.min_length or 0, meta.max_length
        if len(value) < least or (most is not None and len(value) > most):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            return Issue(path, f"must hold {bounds} items; this one holds {len(value)}", "invalid_length")
    return None


def _struct_issues(
    value: Mapping[str, object], wanted: type[msgspec.Struct], path: str, strict: bool
) -> Iterator[Issue]:
    fields = msgspec.structs.fields(wanted)
    for field in fields:
        if field.encode_name in value:
            yield from _issues(value[field.encode_name], field.type, f"{path}.{field.encode_name}", strict)
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
    code = "invalid_type" if ", got `" in text else "invalid_value"
    return Issue(path + inner.rstrip("`"), text[:_MAX_MESSAGE_CHARACTERS].replace("`", ""), code)
