"""The program: the only place that reads the process environment."""

from __future__ import annotations

import os
import sys

from .cli.main import run


def main() -> None:
    """Run the command line and end with its exit code."""
    sys.exit(run(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()
