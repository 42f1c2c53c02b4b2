from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bundles.zipapps import ROOT


@dataclass(frozen=True, slots=True)
class Built:
    folder: Path

    @property
    def worker(self) -> Path:
        return self.folder / "worker.pyz"

    @property
    def server_beta(self) -> Path:
        return self.folder / "server-beta.pyz"

    @property
    def plugin(self) -> Path:
        return self.folder / "marketplace" / "session-memory"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both bundles and the marketplace, built for this run."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, ROOT / "build" / "bundle.py", "--output", folder], check=True)
    return Built(folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder to unpack to."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder
