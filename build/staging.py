"""Stage a bundle: the libraries of its lock for every Python it runs on, its own sources, and nothing else."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

import postgres
from debug_symbols import without_debug_symbols

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")

# What an installation leaves behind and a run never reads: most of it names the machine or the wheel it came from.
_UNUSED_SUFFIXES = frozenset({".pyc", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".cpp", ".h", ".hpp", ".a"})
_UNUSED_NAMES = frozenset({"RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json", "py.typed"})
_UNUSED_FOLDERS = frozenset({"__pycache__", "node_modules", "sboms", "tests"})
# A third of all files: the world's time zones, twice. croniter brings them for schedules, and ours are in UTC.
_UNUSED_DATA = frozenset({("pytz", "zoneinfo"), ("tzdata", "zoneinfo")})
COMPILED_SUFFIXES = frozenset({".so", ".pyd", ".dylib", ".dll"})


class BuildError(Exception):
    """A bundle cannot be built; the message says why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One zipapp: its name, the package in it that runs, and whether it may hold compiled modules."""

    name: str
    package: str
    compiled: bool

    @property
    def program(self) -> str:
        """The module whose `main` the bundle runs."""
        return f"{self.package}.__main__"


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder ready to be packed. Without `pythons` and `platforms` it runs on every one that has Python 3.11."""

    bundle: Bundle
    folder: Path
    pythons: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()


def stage(bundle: Bundle, work: Path) -> Stage:
    """Fill `work/site-packages`; raises BuildError."""
    folder = work / "site-packages"
    folder.mkdir(parents=True)
    staged = _stage_compiled(bundle, work, folder) if bundle.compiled else _stage_pure(bundle, work, folder)
    _copy_sources(ROOT / "runtime" / bundle.package, folder / bundle.package)
    return staged


def _stage_pure(bundle: Bundle, work: Path, folder: Path) -> Stage:
    # One fixed Python and platform, so that every machine makes the same file. Where that brings an extension module
    # it is left out: aiohttp and its companions then run their own pure-Python code, as they do where none was built.
    fixed = ["--python-version", "3.11", "--implementation", "cp", "--platform", "manylinux2014_x86_64"]
    libraries = work / "libraries"
    if not _install(bundle, libraries, "3.11", fixed):
        raise BuildError(f"build/locks/{bundle.name}.txt names a library that has no wheel.")
    for extension in [path for path in libraries.rglob("*") if path.suffix in COMPILED_SUFFIXES]:
        extension.unlink()
    _merge(libraries, folder)
    return Stage(bundle, folder)


def _stage_compiled(bundle: Bundle, work: Path, folder: Path) -> Stage:
    # Extension modules carry their Python in the file name, so the wheels of all Pythons fit into one folder.
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = sorted({*PYTHONS, own}, key=lambda version: int(version.partition(".")[2]))

    def install(python: str) -> bool:
        return _install(bundle, work / python, python, ["--python-version", python], _needs_python)

    with ThreadPoolExecutor() as pool:
        # Programs are the same for every Python; always the first one's wheel, so that the builder's does not matter.
        first = ["--python-version", PYTHONS[0]]
        programs = pool.submit(_install, bundle, work / "postgres", PYTHONS[0], first, _needs_no_python)
        found = [python for python, complete in zip(wanted, pool.map(install, wanted), strict=True) if complete]
    if own not in found:
        raise BuildError(f"{bundle.name} has libraries without wheels for Python {own}; use {', '.join(PYTHONS)}.")
    if not programs.result():
        raise BuildError(f"{postgres.WHEEL} has no wheel for {platform.system()} {platform.machine()}.")
    for python in found:
        _merge(work / python, folder)
    for path in postgres.needed(work / "postgres"):
        _add(path, folder / path.relative_to(work / "postgres"))
    return Stage(bundle, folder, tuple(found), (f"{platform.system()} {platform.machine()}",))


def _needs_python(requirement: str) -> bool:
    return requirement != postgres.WHEEL


def _needs_no_python(requirement: str) -> bool:
    return requirement == postgres.WHEEL


def _install(
    bundle: Bundle, target: Path, python: str, which: Sequence[str], chosen: Callable[[str], bool] = lambda _: True
) -> bool:
    """Install the lock's wheels; return False when this Python has no wheel for one of them."""
    target.mkdir()
    lock = (ROOT / "build" / "locks" / f"{bundle.name}.txt").read_text("utf-8")
    needed = "".join(selected(lock, python, chosen))
    if not needed:
        return True
    requirements = target.with_name(f"{target.name}.requirements.txt")
    requirements.write_text(needed, "utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-compile", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    done = subprocess.run([*command, *which, "--target", target], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return True
    if "No matching distribution found" in done.stderr:
        return False
    raise BuildError(f"pip cannot install the libraries of {bundle.name} for Python {python}:\n{done.stderr.strip()}")


def selected(lock: str, python: str, chosen: Callable[[str], bool] = lambda _: True) -> Iterator[str]:
    """Yield the lock's requirements that this Python needs, without their markers.

    pip evaluates markers for the Python it runs on, whichever it installs for.
    """
    target = {"python_version": python, "python_full_version": f"{python}.0"}
    for requirement in re.split(r"^(?=\S)", lock, flags=re.MULTILINE):
        head, continued, hashes = requirement.partition(" \\\n")
        pin, _, marker = head.partition(" ; ")
        if continued and chosen(pin.partition("==")[0]) and (not marker or Marker(marker).evaluate(target)):
            yield f"{pin}{continued}{hashes}"


def _merge(libraries: Path, folder: Path) -> None:
    for path in _used(libraries):
        _add(path, folder / path.relative_to(libraries))


def _used(libraries: Path) -> Iterator[Path]:
    for path in sorted(libraries.rglob("*")):
        if path.is_file() and not _is_unused(path.relative_to(libraries)):
            yield path


def _is_unused(path: Path) -> bool:
    return (
        path.suffix in _UNUSED_SUFFIXES
        or path.name in _UNUSED_NAMES
        or not _UNUSED_FOLDERS.isdisjoint(path.parts)
        or path.parts[:2] in _UNUSED_DATA
        # Console scripts, which name the Python of this machine.
        or path.parts[0] == "bin"
    )


def _copy_sources(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            _add(path, target / path.relative_to(source))


def _add(source: Path, target: Path) -> None:
    content = without_debug_symbols(source.read_bytes())
    if target.exists():
        if target.read_bytes() != content:
            raise BuildError(f"{source.name} is not the same for every Python, so they cannot share a bundle: {target}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o755 if source.stat().st_mode & 0o100 else 0o644)
