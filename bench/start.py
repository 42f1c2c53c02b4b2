"""How long a start takes until requests are answered: the first one ever, a warm one, beside importing aiohttp."""

from __future__ import annotations

import subprocess
import sys
import time

from .report import Row, milliseconds, percentile
from .server import environment_for, run, scratch, timed

_ROUNDS = 7


def measure() -> list[Row]:
    """Start in an empty folder with an empty extraction cache, then again and again."""
    with scratch() as data_dir, scratch() as cache:
        environment = environment_for(data_dir, SHIV_ROOT=str(cache))
        first = timed(environment, "start")
        run(environment, "stop")
        warm, imports = [], []
        for _ in range(_ROUNDS):
            warm.append(timed(environment, "start"))
            run(environment, "stop")
            imports.append(_import_seconds())
    beside = f"`import aiohttp` {milliseconds(imports)}"
    return [
        Row(
            "first start: unpack, initdb, migrate",
            f"{first:.2f} s",
            beside,
            f"{first / percentile(imports, 0.5):.0f} x",
        ),
        Row(
            "warm start on the embedded Postgres",
            milliseconds(warm),
            beside,
            f"{percentile(warm, 0.5) / percentile(imports, 0.5):.1f} x",
        ),
    ]


def _import_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import aiohttp.web"], check=True)
    return time.perf_counter() - began
