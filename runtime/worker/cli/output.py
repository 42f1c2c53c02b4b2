"""What a command answers, and how it reaches people and machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of a command: text for people, an object for `--json`, an exit code for scripts."""

    text: str
    data: Mapping[str, object] = field(default_factory=dict)
    exit_code: int = 0


def emit(report: Report, as_json: bool) -> int:
    """Print the report on stdout and return its exit code; an empty text prints nothing."""
    text = json.dumps(report.data, ensure_ascii=False) if as_json else report.text
    if text:
        print(text, flush=True)
    return report.exit_code


def emit_failure(runtime: str, message: str, as_json: bool) -> int:
    """Print one sentence on stderr, and with `--json` the same as an object on stdout; returns exit code 1."""
    if as_json:
        print(json.dumps({"status": "failed", "runtime": runtime, "message": message}, ensure_ascii=False), flush=True)
    print(message, file=sys.stderr, flush=True)
    return 1
