"""Pack a staged folder with shiv, and make the file depend on nothing but its content."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from staging import BuildError, Stage

_SHEBANG = "/usr/bin/env python3"
# 1980-01-01, the first instant that a zip can hold.
_EPOCH = 315532800
_STARTER = Path(__file__).with_name("start.py")


def pack(staged: Stage, target: Path) -> Path:
    """Write the zipapp; the same stage gives the same bytes. Raises BuildError."""
    raw = target.with_suffix(".raw")
    command = [
        sys.executable,
        "-m",
        "shiv",
        "--site-packages",
        str(staged.folder),
        "--output-file",
        str(raw),
        "--uncompressed",
    ]
    command += ["--entry-point", f"{staged.bundle.program}:main", "--python", _SHEBANG, "--reproducible"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH), "PYTHONWARNINGS": "ignore::DeprecationWarning"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"shiv cannot pack {staged.bundle.name}:\n{done.stderr.strip()}")
    _seal(raw, target, staged)
    raw.unlink()
    return target


def _seal(raw: Path, target: Path, staged: Stage) -> None:
    # shiv takes its own modules in directory order and with their file modes, which differ between machines.
    about = {"program": staged.bundle.program, "platforms": staged.platforms, "pythons": staged.pythons}
    own = {"__main__.py": _STARTER.read_bytes(), "bundle.json": json.dumps(about).encode()}
    with zipfile.ZipFile(raw) as source, target.open("wb") as file:
        file.write(f"#!{_SHEBANG}\n".encode())
        modes = {entry.filename: entry.external_attr >> 16 for entry in source.infolist()}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as sealed:
            for name in sorted({*modes, *own}):
                entry = zipfile.ZipInfo(name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3
                entry.external_attr = (0o100755 if modes.get(name, 0) & 0o100 else 0o100644) << 16
                sealed.writestr(entry, own[name] if name in own else source.read(name))
    target.chmod(0o755)
