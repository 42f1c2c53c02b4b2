from __future__ import annotations

import pytest

from tests.distill.replay import RUNTIMES, Distillery


@pytest.fixture(params=RUNTIMES)
def distillery(request: pytest.FixtureRequest) -> Distillery:
    """The copies of each runtime in turn."""
    return Distillery(request.param)
