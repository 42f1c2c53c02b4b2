"""SQL files: `queries/<repository>/<verb>.sql`, one statement each, read once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """Return the SQL of `<repository>/<verb>`."""
    return files(__package__).joinpath("queries", f"{name}.sql").read_text("utf-8")
