"""What generation and the page make of recorded sessions, against files that a person has read and agreed with."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distill.replay import GOLDEN, RUNTIMES, SESSIONS, Distillery, golden_files

ROOT = Path(__file__).resolve().parents[2]
DIGEST = """
import hashlib
from tests.distill.replay import Distillery, golden_files
print(hashlib.sha256(repr(list(golden_files(Distillery("server_beta")))).encode()).hexdigest())
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_both_runtimes_make_what_the_golden_files_hold(runtime: str) -> None:
    made = dict(golden_files(Distillery(runtime)))
    kept = {path.name: path.read_text("utf-8") for path in GOLDEN.iterdir()}
    assert made == kept, "Read the difference; then run tests/distill/regenerate.py if it is better."


@pytest.mark.parametrize("hash_seed", ["1", "4242"])
def test_the_same_in_every_process(hash_seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{ROOT / 'runtime'}{os.pathsep}{ROOT}"}
    ran = subprocess.run(
        [sys.executable, "-c", DIGEST], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    here = repr(list(golden_files(Distillery("server_beta"))))
    assert ran.stdout.strip() == hashlib.sha256(here.encode()).hexdigest()


@pytest.mark.parametrize("session", SESSIONS)
def test_every_title_is_one_short_line_and_every_fact_is_bounded(session: str) -> None:
    summary, observations = Distillery("server_beta").stored(session)
    for observation in (summary, *observations):
        assert 0 < len(observation.draft.title) <= 100
        assert "\n" not in observation.draft.title
        assert len(observation.draft.narrative) <= 1300
        assert all(len(fact) <= 320 and "\n" not in fact for fact in observation.draft.facts)


@pytest.mark.parametrize("session", SESSIONS)
def test_no_path_of_the_checkout_is_left_absolute(session: str) -> None:
    assert "/home/dev" not in Distillery("server_beta").observations_text(session)
