"""Arguments against their JSON Schema: every problem in one go, each as the end of a sentence.

Knows what the schemas of the tools use: type, properties (no others may be there), required, items, minItems, maxItems,
minLength, maxLength, pattern (with an example), minimum, maximum and enum.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def problems(value: object, schema: Schema, path: str = "arguments") -> Iterator[str]:
    """Yield what is wrong with a value, each with the path to it."""
    match schema["type"], value:
        case "object", dict():
            yield from _object(value, schema, path)
        case "array", list():
            yield from _array(value, schema, path)
        case "string", str():
            yield from _string(value, schema, path)
        case "integer", int() if not isinstance(value, bool):
            if not schema["minimum"] <= value <= schema["maximum"]:
                yield f"{path} must be from {schema['minimum']} to {schema['maximum']}"
        case kind, _:
            yield f"{path} must be {_WORDS[kind]}"


_WORDS = {"object": "an object", "array": "a list", "string": "a text", "integer": "a whole number"}


def _object(value: Mapping[object, object], schema: Schema, path: str) -> Iterator[str]:
    properties: Mapping[str, Schema] = schema["properties"]
    within = "" if path == "arguments" else f"{path}."
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{within}{name} is required"
    for name, member in value.items():
        known = properties.get(str(name))
        if known is None:
            yield f"{within}{str(name)[:40]} is not known; there are {', '.join(properties) or 'none'}"
        else:
            yield from problems(member, known, f"{within}{name}")


def _array(value: Sequence[object], schema: Schema, path: str) -> Iterator[str]:
    if not schema["minItems"] <= len(value) <= schema["maxItems"]:
        yield f"{path} must have {schema['minItems']} to {schema['maxItems']} items"
        return
    for index, item in enumerate(value):
        yield from problems(item, schema["items"], f"{path}[{index}]")


def _string(value: str, schema: Schema, path: str) -> Iterator[str]:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength")
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} must be one of: {', '.join(schema['enum'])}"
    elif len(value) < shortest or (longest is not None and len(value) > longest):
        yield f"{path} must have {shortest} to {longest} characters"
    elif "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield f"{path} must look like {schema['examples'][0]}"
