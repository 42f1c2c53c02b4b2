"""Build what users install: `dist/worker.pyz`, `dist/server-beta.pyz` and `dist/marketplace`. `make bundle` runs it.

Each bundle is staged, packed and inspected; the two share no module of ours, and neither is imported here.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from inspection import inspect, inspect_pair
from marketplace import assemble
from packing import pack
from staging import ROOT, BuildError, Bundle, Stage, stage

WORKER = Bundle("worker", "worker", compiled=False)
SERVER_BETA = Bundle("server-beta", "server_beta", compiled=True)


def main() -> int:
    """Build everything into the output folder; return 1 with one sentence on stderr when that is not possible."""
    parser = argparse.ArgumentParser(description="Build the bundles and the marketplace.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder to build into (default: dist)")
    output = parser.parse_args().output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    try:
        built = [_build(bundle, output) for bundle in (WORKER, SERVER_BETA)]
        inspect_pair(*built)
        assemble(built, output / "marketplace")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"marketplace: {output / 'marketplace'}")
    return 0


def _build(bundle: Bundle, output: Path) -> Path:
    print(f"{bundle.name}: building ...", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="claude-mem-build-") as work:
        staged = stage(bundle, Path(work))
        # Packed beside the target and moved over it, so that a build cut short leaves the old bundle whole.
        packed = pack(staged, output / f".{bundle.name}.new")
        inspect(staged, packed)
    built = packed.replace(output / f"{bundle.name}.pyz")
    size = built.stat().st_size / 1_000_000
    print(f"{bundle.name}: {size:.1f} MB for {_runs_on(staged)}, built in {time.monotonic() - began:.0f} s", flush=True)
    return built


def _runs_on(staged: Stage) -> str:
    pythons = ", ".join(staged.pythons) or "3.11 and newer"
    return f"Python {pythons} on {', '.join(staged.platforms) or 'every platform'}"


if __name__ == "__main__":
    sys.exit(main())
