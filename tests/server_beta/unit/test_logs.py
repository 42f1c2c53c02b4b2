"""What a library has to say is written without its words: they may quote what passed through it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.processes import clean_environment

_PROGRAM = """
import logging
from server_beta.logs import write_logs
write_logs("info")
try:
    raise ValueError("canary in an error")
except ValueError:
    logging.getLogger("a.library").exception("canary in a message: %s", "canary in an argument")
"""


def test_a_library_says_who_it_is_and_which_error_it_met(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=clean_environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert ran.stderr == '{"library": "a.library", "level": "error", "error": "ValueError"}\n'
