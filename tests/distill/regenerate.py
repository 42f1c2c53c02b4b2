"""Write the golden files anew; read the difference before you keep it.

From the top of the repository: PYTHONPATH=runtime:. python tests/distill/regenerate.py
"""

from __future__ import annotations

from tests.distill.replay import GOLDEN, Distillery, golden_files

if __name__ == "__main__":
    for name, text in golden_files(Distillery("server_beta")):
        (GOLDEN / name).write_text(text, "utf-8")
