"""A real database file for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clock import FrozenClock
from tests.worker.parts import Chain
from worker.storage.database import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker.db"


@pytest.fixture
def store(path: Path) -> Iterator[Database]:
    opened = Database.open(path)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def chain(store: Database, path: Path, clock: FrozenClock) -> Chain:
    return Chain(store, path, clock)
