"""Write the golden files anew: `PYTHONPATH=runtime:. python tests/distill/regenerate.py`. Read the diff before it is kept."""

from __future__ import annotations

from tests.distill.replay import GOLDEN, Distillery, golden_files

if __name__ == "__main__":
    for name, text in golden_files(Distillery("server_beta")):
        (GOLDEN / name).write_text(text, "utf-8")
