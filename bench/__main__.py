"""Run the benchmarks named on the command line, or all of them, and print one table."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable

from . import drain, hook, ingest, start
from .report import Row, table

_PARTS: dict[str, Callable[[], list[Row]]] = {
    "hook": hook.measure,
    "start": start.measure,
    "ingest": ingest.measure,
    "drain": drain.measure,
}


def main() -> int:
    """Print the table; 2 for a part that does not exist."""
    wanted = sys.argv[1:] or list(_PARTS)
    if unknown := set(wanted) - set(_PARTS):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}.", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for part in wanted:
        print(f"{part} …", file=sys.stderr, flush=True)
        rows += _PARTS[part]()
    print(f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
