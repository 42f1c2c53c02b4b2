"""How this program starts itself once more: from the bundle it runs from, or from source."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_SOURCE_ROOT = Path(__file__).absolute().parents[2]
# These would make the bundle run something else; SHIV_ROOT stays, it says where bundles are extracted.
_SHIV_DETOURS = frozenset(
    {
        "SHIV_CONSOLE_SCRIPT",
        "SHIV_ENTRY_POINT",
        "SHIV_EXTEND_PYTHONPATH",
        "SHIV_FORCE_EXTRACT",
        "SHIV_INTERPRETER",
        "SHIV_MODULE",
        "SHIV_PREPEND_PYTHONPATH",
    }
)


def bundle() -> Path | None:
    """Find the zipapp that this program runs from; None from source."""
    program = Path(sys.argv[0]).absolute()
    return None if program.name == "__main__.py" else program


def command(package: str, arguments: Sequence[str]) -> list[str]:
    """Build the command line that runs `package` again with these arguments."""
    program = bundle()
    if program is not None:
        return [sys.executable, str(program), *arguments]
    # -P: the working folder must not be able to shadow a module.
    return [sys.executable, "-P", "-m", package, *arguments]


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """Copy the environment without what changes the interpreter or makes a bundle run something else."""
    kept = {name: value for name, value in env.items() if not name.startswith("PYTHON") and name not in _SHIV_DETOURS}
    if bundle() is None:
        kept["PYTHONPATH"] = str(_SOURCE_ROOT)
    return kept
