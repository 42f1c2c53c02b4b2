"""What a file-changing tool did to a file: how many lines, and in which definitions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .definitions import named, touched

_MAX_LINES = 20_000
_MAX_SYMBOLS = 8
_TEST_FILE = re.compile(r"(?:^|/)(?:tests?|spec|__tests__)/|(?:^|/)test_|_test\.|\.(?:test|spec)\.")


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
        return FileChange(path, added=len(lines), symbols=named(path, lines), is_new=is_new)
    hunks = _hunks(result.get("structuredPatch")) or _hunks_of_input(tool_input)
    old_lines = _whole_lines(original)
    change = FileChange(path)
    plus: list[str] = []
    minus: list[str] = []
    for start, lines in hunks:
        plus += [line[1:] for line in lines if line.startswith("+")]
        minus += [line[1:] for line in lines if line.startswith("-")]
        for symbol in touched(path, old_lines, start - 1, lines):
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


def _whole_lines(original: str) -> list[str]:
    """Give the file's lines up to where a capped text was cut: behind that, line numbers no longer hold."""
    lines = original.splitlines()[:_MAX_LINES]
    return next((lines[:at] for at, line in enumerate(lines) if " more characters cut…] " in line), lines)
