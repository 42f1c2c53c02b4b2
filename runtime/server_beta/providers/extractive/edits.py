"""What a file-changing tool did to a file: lines, and the names of the definitions they lie in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_MAX_LINE = 300
_MAX_LINES = 20_000
_MAX_SYMBOLS = 8
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
        rf"await)\b)([A-Za-z_$#][\w$]*)\s*\([^;]{{0,200}}\)\s*(?::[^{{]{{1,100}})?\{{\s*$"
    ),
    re.compile(
        r"^()(?!(?:if|for|while|switch|return|else|do|case|"
        r"typedef)\b)[A-Za-z_][\w\s*&<>:,]{0,80}?[\s*&]([A-Za-z_][\w:~]*)\s*\([^;]{0,200}\)?\s*\{?\s*$"
    ),
    re.compile(r"^()([A-Za-z_][\w-]*)\s*\(\)\s*\{"),
)
_TEST_FILE = re.compile(r"(?:^|/)(?:tests?|spec|__tests__)/|(?:^|/)test_|_test\.|\.(?:test|spec)\.")
_HEADING = re.compile(r"^()#{1,4}\s+(.{1,60}?)\s*$")
_SECTION = re.compile(r"^()\[+([\w.\" -]{1,60})\]+\s*$")
_TARGET = re.compile(r"^()([A-Za-z][\w./-]*):(?!=)")


@dataclass(slots=True)
class FileChange:
    """All that a turn did to one file. `before` and `after` hold the only changed line where just one changed."""

    path: str
    added: int = 0
    removed: int = 0
    symbols: list[str] = field(default_factory=list)
    is_new: bool = False
    before: str = ""
    after: str = ""

    def merge(self, later: FileChange) -> None:
        """Take in a later change of the same file."""
        self.added += later.added
        self.removed += later.removed
        self.symbols += [symbol for symbol in later.symbols if symbol not in self.symbols]
        self.before = self.after = ""

    def gist(self) -> str:
        """Say in a line what changed: how much, where, and the line itself when it is only one."""
        names = ", ".join(self.symbols[:_MAX_SYMBOLS]) + (", …" if len(self.symbols) > _MAX_SYMBOLS else "")
        if self.is_new:
            return f"{self.path}: new file, {self.added} lines" + (f" ({names})" if names else "")
        counts = f"{self.path}: +{self.added} −{self.removed}" + (f" in {names}" if names else "")
        if self.before and self.after and len(self.before) + len(self.after) <= 160:
            return f"{counts}: `{self.before}` → `{self.after}`"
        return counts


def change_of(path: str, tool_input: Mapping[str, object], response: object) -> FileChange:
    """Read one call of Edit, MultiEdit, Write or NotebookEdit."""
    result = response if isinstance(response, dict) else {}
    original = _text(result.get("originalFile")) or _text(result.get("originalFileContents"))
    written = _text(tool_input.get("content"))
    is_new = result.get("type") == "create" or bool(written and not original and not result.get("structuredPatch"))
    if is_new or tool_input.get("edit_mode") == "insert":
        source = written or _text(tool_input.get("new_source"))
        lines = source.splitlines()
        return FileChange(path, added=len(lines), symbols=_named(path, lines), is_new=is_new)
    hunks = _hunks(result.get("structuredPatch")) or _hunks_of_input(tool_input)
    old_lines = _whole_lines(original)
    change = FileChange(path)
    plus: list[str] = []
    minus: list[str] = []
    for start, lines in hunks:
        plus += [line[1:] for line in lines if line.startswith("+")]
        minus += [line[1:] for line in lines if line.startswith("-")]
        for symbol in _touched(path, _enclosing(path, old_lines, start - 1, lines), lines):
            if symbol not in change.symbols:
                change.symbols.append(symbol)
    change.added, change.removed = len(plus), len(minus)
    if len(plus) == len(minus) == 1:
        change.before, change.after = minus[0].strip(), plus[0].strip()
    return change


def is_test_file(path: str) -> bool:
    """Whether the path is a test by the habits of the common languages."""
    return _TEST_FILE.search(path) is not None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _hunks(patch: object) -> list[tuple[int, list[str]]]:
    hunks: list[tuple[int, list[str]]] = []
    for hunk in patch if isinstance(patch, list) else ():
        lines = hunk.get("lines") if isinstance(hunk, dict) else None
        if isinstance(lines, list):
            start = hunk.get("oldStart")
            hunks.append((start if isinstance(start, int) else 1, [line for line in lines if isinstance(line, str)]))
    return hunks


def _hunks_of_input(tool_input: Mapping[str, object]) -> list[tuple[int, list[str]]]:
    """Without a patch, compare what was replaced with what replaced it."""
    edits = tool_input.get("edits")
    pairs = edits if isinstance(edits, list) else [tool_input]
    hunks: list[tuple[int, list[str]]] = []
    for pair in pairs:
        if isinstance(pair, dict):
            old = _text(pair.get("old_string") or pair.get("old_source")).splitlines()
            new = _text(pair.get("new_string") or pair.get("new_source") or pair.get("content")).splitlines()
            removed, added = Counter(old) - Counter(new), Counter(new) - Counter(old)
            hunks.append((1, [*_counted(old, removed, "-"), *_counted(new, added, "+")]))
    return hunks


def _counted(lines: Sequence[str], wanted: Counter[str], sign: str) -> Iterator[str]:
    for line in lines:
        yield (sign if wanted[line] > 0 else " ") + line
        wanted[line] -= 1


@dataclass(frozen=True, slots=True)
class _Definition:
    indent: int
    name: str
    is_container: bool


def _whole_lines(original: str) -> list[str]:
    """Give the file's lines up to where a capped text was cut: behind that, line numbers no longer hold."""
    lines = original.splitlines()[:_MAX_LINES]
    return next((lines[:at] for at, line in enumerate(lines) if " more characters cut…] " in line), lines)


def _enclosing(path: str, lines: Sequence[str], at: int, hunk: Sequence[str]) -> list[_Definition]:
    """Find the definitions around line `at`, outermost first, by looking upward for lines indented ever less."""
    if at > len(lines):
        return []
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


def _touched(path: str, open_definitions: list[_Definition], hunk: Sequence[str]) -> list[str]:
    """Name the definitions in which the hunk's changed lines lie, and those that it adds or removes."""
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


def _named(path: str, lines: Sequence[str]) -> list[str]:
    names: list[str] = []
    for line in lines[:_MAX_LINES]:
        definition = _definition(path, line)
        if definition is not None and definition.indent == 0 and definition.name not in names:
            names.append(definition.name)
    # Constants are what a new file is least about.
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
    if lowered.endswith((".md", ".markdown", ".rst", ".txt")):
        patterns: tuple[re.Pattern[str], ...] = (_HEADING,)
    elif lowered.endswith((".toml", ".ini", ".cfg")):
        patterns = (_SECTION,)
    elif lowered.endswith((".yml", ".yaml", "makefile", ".mk")):
        patterns = (_TARGET,)
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
