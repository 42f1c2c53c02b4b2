"""Look into the finished bundles: what must not be inside is not, and each runs alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from staging import COMPILED_SUFFIXES, ROOT, BuildError, Stage

_FIRST_PARTY = ("site-packages/server_beta/", "site-packages/worker/")
_ELF_AND_MACHO = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ")


def inspect(staged: Stage, packed: Path) -> None:
    """Raise BuildError when the bundle holds what it must not, or does not say its version on its own."""
    with zipfile.ZipFile(packed) as bundle:
        for name in bundle.namelist():
            _inspect_file(staged, packed, name, bundle.read(name))
    _boot(packed)


def inspect_pair(worker: Path, server_beta: Path) -> None:
    """Raise BuildError when a module of ours is in both bundles."""
    shared = first_party(worker) & first_party(server_beta)
    if shared:
        raise BuildError(f"{worker.name} and {server_beta.name} share {', '.join(sorted(shared))}.")


def first_party(packed: Path) -> set[str]:
    """Return the names of a bundle's files that are ours."""
    with zipfile.ZipFile(packed) as bundle:
        return {name for name in bundle.namelist() if name.startswith(_FIRST_PARTY)}


def _inspect_file(staged: Stage, packed: Path, name: str, content: bytes) -> None:
    is_compiled = Path(name).suffix in COMPILED_SUFFIXES or content.startswith(_ELF_AND_MACHO)
    if is_compiled and not staged.bundle.compiled:
        raise BuildError(f"{packed.name} holds a compiled file: {name}")
    if name.endswith(".pth"):
        raise BuildError(f"{packed.name} holds a path file, which the starter does not read: {name}")
    for private in (str(ROOT), sys.prefix, str(staged.folder.parent)):
        if private.encode() in content:
            raise BuildError(f"{packed.name} holds a path of this machine: {private} in {name}")


def _boot(packed: Path) -> None:
    # A copy under the final name, in a folder with nothing else, with nothing in the environment.
    with tempfile.TemporaryDirectory(prefix="claude-mem-inspect-") as empty:
        alone = Path(empty, f"{packed.name.removeprefix('.').removesuffix('.new')}.pyz")
        shutil.copyfile(packed, alone)
        environment = {"PATH": os.defpath, "HOME": empty, "SHIV_ROOT": str(Path(empty, "copies"))}
        command = [sys.executable, "-I", str(alone), "version"]
        done = subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode != 0 or not done.stdout.strip():
            raise BuildError(f"{alone.name} does not start: {done.stderr.strip() or done.stdout.strip()}")
