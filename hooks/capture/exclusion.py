"""Folders whose sessions are not remembered; loaded only when CLAUDE_MEM_EXCLUDED_PROJECTS is set."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def is_excluded(folders: Iterable[str], globs: Iterable[str], home: str) -> bool:
    """Whether a glob names one of the folders or a folder above it; `~` is the home folder, `*` crosses slashes."""
    patterns = [_absolute(glob, home) for glob in globs]
    candidates: set[str] = set()
    for folder in folders:
        if folder:
            candidates.update(_ancestry(os.path.normpath(folder)))
            candidates.update(_ancestry(os.path.realpath(folder)))
    return any(matches(candidate, pattern) for pattern in patterns for candidate in candidates)


def matches(text: str, glob: str) -> bool:
    """Match like fnmatch (`*`, `?`, `[abc]`, `[!a-z]`), without loading the regular expressions that one needs."""
    at = seek = 0
    star = star_at = -1
    while at < len(text):
        if seek < len(glob) and glob[seek] == "*":
            star, star_at = seek, at
            seek += 1
            continue
        accepted, following = _accepts(glob, seek, text[at])
        if accepted:
            at, seek = at + 1, following
        elif star >= 0:
            star_at += 1
            at, seek = star_at, star + 1
        else:
            return False
    return not glob[seek:].strip("*")


def _accepts(glob: str, at: int, character: str) -> tuple[bool, int]:
    if at >= len(glob):
        return False, at
    if glob[at] == "[":
        closing = glob.find("]", at + (3 if glob[at + 1 : at + 2] == "!" else 2))
        if closing > 0:
            chosen = glob[at + 1 : closing]
            negated = chosen.startswith("!")
            return _in_class(character, chosen[negated:]) is not negated, closing + 1
    return glob[at] in ("?", character), at + 1


def _in_class(character: str, chosen: str) -> bool:
    at = 0
    while at < len(chosen):
        if chosen[at + 1 : at + 2] == "-" and at + 2 < len(chosen):
            if chosen[at] <= character <= chosen[at + 2]:
                return True
            at += 3
        else:
            if chosen[at] == character:
                return True
            at += 1
    return False


def _absolute(glob: str, home: str) -> str:
    return os.path.normpath(home + glob[1:] if glob == "~" or glob.startswith("~/") else glob)


def _ancestry(folder: str) -> list[str]:
    chain = [folder]
    while os.path.dirname(chain[-1]) != chain[-1]:
        chain.append(os.path.dirname(chain[-1]))
    return chain
