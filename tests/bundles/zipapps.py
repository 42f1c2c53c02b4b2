"""Run real bundles, and make other builds of one out of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 120

# A program that runs until its input ends, and imports late.
WAITING = """
import sys
def main():
    print("up", flush=True)
    sys.stdin.read()
    import yarl
    print(yarl.__version__, flush=True)
"""


def clean_environment(root: Path, **more: str) -> dict[str, str]:
    """What a process gets that knows nothing of this machine but where to unpack."""
    return {"PATH": os.defpath, "HOME": str(root), "SHIV_ROOT": str(root), **more}


def run(
    bundle: Path, *arguments: str, environment: Mapping[str, str], python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, str(bundle), *arguments],
        cwd=bundle.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )


def start(bundle: Path, *arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(bundle), *arguments],
        cwd=bundle.parent,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def other_build(
    bundle: Path, folder: Path, build: str, about: Mapping[str, object] | None = None, program: str = ""
) -> Path:
    """Write the bundle again under its own name in a folder, as another build and perhaps with another program."""
    folder.mkdir(parents=True)
    target = folder / bundle.name
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "environment.json":
                content = json.dumps({**json.loads(content), "build_id": build}).encode()
            if entry.filename == "bundle.json":
                changes = {"program": "another_program"} if program else {}
                content = json.dumps({**json.loads(content), **changes, **(about or {})}).encode()
            new.writestr(entry, content)
        if program:
            entry = zipfile.ZipInfo("site-packages/another_program.py")
            entry.external_attr = 0o100644 << 16
            new.writestr(entry, program)
    return target


def copies(root: Path) -> set[str]:
    """The unpacked copies in a root, without what belongs to their making."""
    return {path.name for path in root.iterdir() if not path.name.startswith(".")}
