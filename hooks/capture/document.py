"""JSON read with the interpreter's own C scanner: `import json` also loads `re` and costs as much as the whole hook."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

try:
    from _json import encode_basestring_ascii as quoted
    from _json import make_scanner, scanstring
except ImportError:
    from json.decoder import scanstring  # type: ignore[attr-defined,no-redef]
    from json.encoder import encode_basestring_ascii as quoted
    from json.scanner import make_scanner

__all__ = ["Number", "parse_object", "quoted", "scanstring", "single_line"]

_BLANKS = " \t\r\n"
# They are no line ends to JSON, but to many readers of lines; inside a string an escape means the same.
_OTHER_LINE_ENDS = (("\u2028", "\\u2028"), ("\u2029", "\\u2029"), ("\x85", "\\u0085"))


class Number(str):
    """A number as it was written: nothing here calculates, so none is too long or loses digits."""

    __slots__ = ()


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


class _Grammar:
    """What the C scanner reads its options from."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None
    parse_float = Number
    parse_int = Number
    parse_constant: Callable[[str], object] = staticmethod(_refuse_constant)
    memo: dict[str, str]

    def __init__(self) -> None:
        self.memo = {}
        self.parse_string = scanstring


def parse_object(text: str) -> dict[str, object] | None:
    """Read one JSON object that fills `text`; None for anything else."""
    start = len(text) - len(text.lstrip(_BLANKS))
    if not text.startswith("{", start):
        return None
    try:
        value, end = make_scanner(_Grammar())(text, start)  # type: ignore[arg-type]
    except (ValueError, StopIteration, RecursionError, SystemError):
        # SystemError: until 3.12 the scanner looks for its own error class in the module that is not imported here.
        return None
    return value if isinstance(value, dict) and not text[end:].strip(_BLANKS) else None


def single_line(text: str) -> str:
    """Give valid JSON on one line: a real line end can only stand between its tokens."""
    line = text.strip(_BLANKS).replace("\r", " ").replace("\n", " ")
    for character, escape in _OTHER_LINE_ENDS:
        line = line.replace(character, escape)
    return line
