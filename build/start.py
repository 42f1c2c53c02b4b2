"""What a bundle runs first: refuse an unfit Python, choose where to unpack, hold the unpacked copy, run the program.

It becomes the zip's `__main__.py` in place of shiv's, so it must parse on Pythons too old to run the rest; unpacking is
shiv's. `bundle.json` beside it says what the bundle was built for.

A copy is the folder `<root>/<file name>_<build id>`. Every process that runs from a copy holds a shared lock on
`.<copy>.in-use` for its whole life, taken before it looks whether the copy exists. A start removes the copies of other
builds of the same file whose lock it gets exclusively: then nobody runs from them, and whoever starts one meanwhile
waits for the lock, finds its file unlinked, takes a new one, and unpacks again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib
import json
import os
import re
import stat
import sys
from pathlib import Path
from zipimport import zipimporter


def main(inside: zipimporter) -> None:
    """Run the bundle that this file is in."""
    archive = Path(inside.archive).resolve()
    bundle = json.loads(inside.get_data("bundle.json"))
    _refuse_unfit_python(archive.name, bundle)
    build = json.loads(inside.get_data("environment.json"))["build_id"]
    # Where extension modules are inside, a copy has those of one Python.
    copy = "_".join([archive.name, build, *([sys.implementation.cache_tag] if bundle["pythons"] else [])])
    root = _root(copy)
    _hold(root / f".{copy}.in-use")
    if not (root / copy).is_dir():
        _unpack(archive, root, copy)
    _remove_other_builds(root, archive.name, build)
    # The copy is ours to write bytecode into, and without it every start would compile everything again.
    sys.dont_write_bytecode = False
    # Ahead of everything, so that no PYTHONPATH of the user's project shadows what is in the bundle.
    sys.path.insert(0, str(root / copy / "site-packages"))
    sys.exit(importlib.import_module(bundle["program"]).main())


def _refuse_unfit_python(name: str, bundle: dict[str, list[str]]) -> None:
    this_python = f"{sys.version_info.major}.{sys.version_info.minor}{getattr(sys, 'abiflags', '')}"
    if sys.version_info < (3, 11):  # noqa: UP036 - this file alone runs on older ones
        sys.exit(f"{name} needs Python 3.11 or newer, and {sys.executable} is {this_python}.")
    if bundle["pythons"] and this_python not in bundle["pythons"]:
        pythons = ", ".join(bundle["pythons"])
        sys.exit(f"{name} was built for Python {pythons}, and {sys.executable} is {this_python}; use one of those.")
    if bundle["platforms"]:
        import platform

        here = f"{platform.system()} {platform.machine()}"
        if here not in bundle["platforms"]:
            sys.exit(f"{name} was built for {bundle['platforms'][0]}, and this is {here}; build it here: make bundle.")


def _root(copy: str) -> Path:
    """Choose the folder to unpack to; end the process with one sentence when there is none."""
    asked_for = os.environ.get("SHIV_ROOT")
    if asked_for:
        root = Path(asked_for).absolute()
        # Not Path.is_dir, which raises below a folder that nobody may look into.
        if _can_be_written(root) or os.path.isdir(root / copy):  # noqa: PTH112
            return root
    else:
        for root in _own_roots():
            if _can_be_written(root) and _is_ours_alone(root):
                return root
    sys.exit(f"There is no folder to unpack {copy.partition('_')[0]} to: set SHIV_ROOT to one that you can write to.")


def _own_roots() -> list[Path]:
    import tempfile

    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
    caches = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    kept = [folder / "claude-mem" / "bundles" for folder in (configured, caches) if folder.is_absolute()]
    # Without a home, or with one that cannot be written to.
    return [*kept, Path(tempfile.gettempdir(), f"claude-mem-{os.getuid()}")]


def _can_be_written(root: Path) -> bool:
    try:
        root.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(root, os.W_OK | os.X_OK)


def _is_ours_alone(root: Path) -> bool:
    """Whether nobody else can have put code there, as they could in the common temporary folder."""
    found = root.lstat()
    writable_by_others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not writable_by_others


def _hold(lock: Path) -> None:
    try:
        while True:
            held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(held, fcntl.LOCK_SH)
            if _names(lock, held):
                return  # never closed: the kernel lets go when the process ends
            os.close(held)
    except OSError as error:
        # A folder prepared read-only, or a file system without locks: nobody can remove the copy there either.
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            sys.exit(f"{lock} cannot be locked ({error.strerror}): set SHIV_ROOT to another folder.")


def _names(lock: Path, held: int) -> bool:
    """Whether the path still leads to the file that is held, and not to nothing or to a newer one."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(held))
    except FileNotFoundError:
        return False


def _unpack(archive: Path, root: Path, copy: str) -> None:
    import zipfile

    import _bootstrap  # type: ignore[import-not-found] # shiv puts it into the zip

    class ForThisPython(zipfile.ZipFile):
        def infolist(self) -> list[zipfile.ZipInfo]:
            own = f".{sys.implementation.cache_tag}-"
            return [entry for entry in super().infolist() if ".cpython-" not in entry.filename or own in entry.filename]

    umask = os.umask(0o022)
    try:
        with ForThisPython(archive) as files:
            # Unpacks beside the copy and renames, under a lock of its own: of many first starts one does the work.
            _bootstrap.extract_site_packages(files, root / copy)
    except (OSError, zipfile.BadZipFile) as error:
        sys.exit(f"{archive.name} cannot be unpacked to {root} ({error}): set SHIV_ROOT to another folder.")
    finally:
        os.umask(umask)


def _remove_other_builds(root: Path, name: str, build: str) -> None:
    # Only what has a lock of ours beside it: another program of the same file name may unpack here too.
    ours = re.compile(r"\.(" + re.escape(name) + r"_([0-9a-f]{64})(?:_\w[\w-]*)?)\.in-use")
    try:
        found = [match for path in root.iterdir() if (match := ours.fullmatch(path.name))]
    except OSError:
        return
    for match in found:
        if match.group(2) != build:
            _remove_unless_in_use(root, match.group(1))


def _remove_unless_in_use(root: Path, copy: str) -> None:
    import shutil

    lock, half = root / f".{copy}.in-use", root / f"{copy}.tmp"
    try:
        held = os.open(lock, os.O_RDWR)
    except OSError:
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _names(lock, held) or _runs_a_program_of(root / copy):
            return
        if half.exists():
            shutil.rmtree(half)
        # Renamed first: a removal that is cut short must not leave a copy that looks whole.
        if (root / copy).exists():
            (root / copy).rename(half)
            shutil.rmtree(half)
        (root / f".{copy}_lock").unlink(missing_ok=True)
        lock.unlink()
    except OSError:
        pass  # in use, or not ours to remove: the next start tries again
    finally:
        os.close(held)


def _runs_a_program_of(copy: Path) -> bool:
    """Whether a program in the copy still runs, such as a Postgres that outlived its server."""
    return any(program.startswith(f"{copy}{os.sep}") for program in _running_programs())


def _running_programs() -> list[str]:
    if sys.platform == "darwin":
        import subprocess

        return subprocess.run(
            ["/bin/ps", "-axo", "comm="], capture_output=True, text=True, check=False
        ).stdout.splitlines()
    programs = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            programs.append(str((process / "exe").readlink()))
    return programs


if __name__ == "__main__":
    main(globals()["__loader__"])
