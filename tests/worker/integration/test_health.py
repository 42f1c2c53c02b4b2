"""What the worker says about itself is what a request would meet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.parts import Chain, edit
from worker.domain.errors import Unavailable
from worker.services.context import Context
from worker.services.drain_spool import DrainSpool
from worker.services.health import Health
from worker.services.hooks import Hooks
from worker.services.signals import Signals
from worker.settings import Settings


def _health(chain: Chain, folder: Path) -> Health:
    settings = Settings.from_env({"CLAUDE_MEM_DATA_DIR": str(folder)})
    context = Context(chain.database, chain.clock, settings.context_token_budget)
    hooks = Hooks(chain.database, chain.ingest, context, Signals(), chain.clock, settings)
    spool = DrainSpool(folder / "spool", hooks)
    return Health(settings, "1", chain.database, chain.provider, spool, chain.ledger, chain.clock)


async def test_a_disk_without_room_is_not_called_healthy(chain: Chain, tmp_path: Path) -> None:
    health = _health(chain, tmp_path)
    assert (await health.report()).body["status"] == "ok"
    raw = chain.database._writer._raw
    raw.execute(f"PRAGMA max_page_count = {raw.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(Unavailable):
        await chain.take(edit("a.py", transcript_path="x" * 100_000))
    body = (await health.report()).body
    assert body["status"] == "degraded"
    assert body["database"] == {"engine": "sqlite", "status": "read-only: the latest event could not be stored"}
    raw.execute("PRAGMA max_page_count = 1000000")
    await chain.take(edit("a.py"))
    assert (await health.report()).body["status"] == "ok"
