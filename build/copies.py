"""Refresh the worker's verified copies from server_beta: `make copies`. The list is in pyproject.toml."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Copy each listed module whose copy differs, and say so."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for name in settings["tool"]["claude_mem"]["verified_copies"]:
        source, copy = ROOT / "runtime" / "server_beta" / name, ROOT / "runtime" / "worker" / name
        if copy.is_file() and copy.read_bytes() == source.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        print(f"copied {name}")


if __name__ == "__main__":
    main()
