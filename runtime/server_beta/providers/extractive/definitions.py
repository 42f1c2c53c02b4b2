"""The definitions that lines of source lie in, by the habits of the common languages and by indentation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MAX_LINE = 300
_MAX_LINES = 20_000
_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|override|"
    r"readonly|pub(?:\([a-z]+\))?|unsafe|const|extern|virtual|inline|sealed|open|data|suspend)\s+)*"
)
_CONTAINER = re.compile(
    rf"^(\s*){_MODIFIERS}(?:class|interface|trait|struct|enum|module|namespace|object|record|protocol|"
    rf"impl(?:<[^>]*>)?)\s+([A-Za-z_][\w.]*(?:::\w+)*)\s*(?:[({{<:;]|extends\b|implements\b|where\b|for\b|$)"
)
_DEFINITIONS = (
    re.compile(
        rf"^(\s*){_MODIFIERS}(?:def|function\*?|fn|fun|"
        rf"func)\s+(?:\([^)]*\)\s*)?([A-Za-z_$][\w$.?!]*)\s*(?:[(<\[]|$)"
    ),
    re.compile(rf"^(\s*){_MODIFIERS}type\s+([A-Za-z_$][\w$]*)(?:<[^>]*>)?\s*(?:=|struct\b|interface\b|func\b)"),
    re.compile(
        r"^(\s*)(?:export\s+)?(?:const|let|"
        r"var)\s+([A-Za-z_$][\w$]*)\s*(?::[^=]+)?=\s*(?:async\s*)?(?:function\b|\([^)]*\)\s*(?::[^=]+)?=>|"
        r"[\w$]+\s*=>)"
    ),
    re.compile(r"^()([A-Z][A-Z0-9_]{2,})\s*(?::[^=]+)?=[^=]"),
    re.compile(
        r"^(\s*)CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?(?:TABLE|INDEX|VIEW|FUNCTION|"
        r"TRIGGER)\s+(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?([\w.\"]+)",
        re.IGNORECASE,
    ),
    re.compile(
        rf"^(\s+){_MODIFIERS}(?!(?:if|for|while|switch|catch|return|function|else|do|with|using|"
        rf"await|new|throw|yield)\b)(?:[\w<>\[\],.?]{{1,60}}\s+)?([A-Za-z_$#][\w$]*)"
        r"\s*\([^;]{0,200}\)\s*(?::[^{]{1,100})?\{\s*$"
    ),
    re.compile(
        r"^()(?!(?:if|for|while|switch|return|else|do|case|"
        r"typedef)\b)[A-Za-z_][\w\s*&<>:,]{0,80}?[\s*&]([A-Za-z_][\w:~]*)\s*\([^;]{0,200}\)?\s*\{?\s*$"
    ),
    re.compile(r"^()([A-Za-z_][\w-]*)\s*\(\)\s*\{"),
)
_HEADING = re.compile(r"^#{1,4}\s+(.{1,60}?)\s*$")
_SECTION = re.compile(r"^\[+([\w.\" -]{1,60})\]+\s*$")
_SECTIONED = (".md", ".markdown", ".rst", ".txt", ".toml", ".ini", ".cfg")
# A section holds what follows it, however that is indented.
_SECTION_INDENT = -1
_TARGET = re.compile(r"^()([A-Za-z][\w./-]*):(?!=)")


@dataclass(frozen=True, slots=True)
class _Definition:
    indent: int
    name: str
    is_container: bool


def _enclosing(path: str, lines: Sequence[str], at: int, hunk: Sequence[str]) -> list[_Definition]:
    """Find the definitions around line `at`, outermost first, by looking upward for lines indented ever less."""
    if at > len(lines):
        return []
    if path.lower().endswith(_SECTIONED):
        headings = (_definition(path, line) for line in reversed(lines[: max(0, at)]))
        heading = next((heading for heading in headings if heading is not None), None)
        return [] if heading is None else [heading]
    limit = next((_indent(line[1:]) for line in hunk if line[1:].strip()), 0)
    found: list[_Definition] = []
    for line in reversed(lines[: max(0, at)]):
        if limit == 0:
            break
        if line.strip() and _indent(line) < limit:
            limit = _indent(line)
            definition = _definition(path, line)
            if definition is not None:
                found.insert(0, definition)
    return found


def touched(path: str, lines: Sequence[str], at: int, hunk: Sequence[str]) -> list[str]:
    """Name the definitions in which a hunk's changed lines lie, and those that it adds or removes.

    `lines` is the file before the change, as far as it is known; the hunk begins behind its first `at` lines.
    """
    open_definitions = _enclosing(path, lines, at, hunk)
    names: list[str] = []
    for line in hunk:
        text = line[1:]
        _enter(open_definitions, path, text)
        # An import belongs to no definition, and a closing bracket alone says nothing.
        if line[:1] in "+-" and any(character.isalnum() for character in text) and open_definitions:
            name = _qualified(open_definitions)
            if name not in names:
                names.append(name)
    return names


def named(path: str, lines: Sequence[str]) -> list[str]:
    """Name what a new file defines at its top level, constants last."""
    names: list[str] = []
    for line in lines[:_MAX_LINES]:
        definition = _definition(path, line)
        if definition is not None and definition.indent <= 0 and definition.name not in names:
            names.append(definition.name)
    return sorted(names, key=str.isupper)


def _enter(stack: list[_Definition], path: str, line: str) -> None:
    if not line.strip():
        return
    indent = _indent(line)
    closes = line.strip()[0] in "})]" or line.strip().startswith(("end", "else", "except", "finally", "catch"))
    while stack and (stack[-1].indent > indent or (stack[-1].indent == indent and not closes)):
        stack.pop()
    definition = _definition(path, line)
    if definition is not None:
        stack[:] = [outer for outer in stack if outer.indent < definition.indent]
        stack.append(definition)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _qualified(stack: Sequence[_Definition]) -> str:
    if len(stack) > 1 and stack[-2].is_container and not stack[-1].is_container:
        return f"{stack[-2].name}.{stack[-1].name}"
    return stack[-1].name


def _definition(path: str, line: str) -> _Definition | None:
    line = line[:_MAX_LINE].rstrip()
    lowered = path.lower()
    if lowered.endswith(_SECTIONED):
        section = _HEADING.match(line) or _SECTION.match(line)
        return None if section is None else _Definition(_SECTION_INDENT, section[1], is_container=False)
    if lowered.endswith((".yml", ".yaml", "makefile", ".mk")):
        patterns: tuple[re.Pattern[str], ...] = (_TARGET,)
    elif lowered.endswith((".json", ".csv", ".lock", ".svg", ".html", ".css")):
        return None
    else:
        container = _CONTAINER.match(line)
        if container is not None:
            return _Definition(len(container[1]), container[2], is_container=True)
        patterns = _DEFINITIONS
    for pattern in patterns:
        match = pattern.match(line)
        if match is not None:
            return _Definition(len(match[1]), match[2].strip('"'), is_container=False)
    return None
