"""Deliver the events that hooks spooled while nobody answered: in order, each once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog

from ..domain.errors import Forbidden, InvalidInput, NotFound
from ..domain.principals import Principal
from ..domain.spool import SUFFIX, BadSpoolFile, parse_spooled
from .hooks import Hooks

log = structlog.get_logger()

EVERY = timedelta(seconds=1)
_MOST_REJECTED = 100
_SPOOLED = "x-claude-mem-spooled"


@dataclass(frozen=True, slots=True)
class DrainSpool:
    """Reads one runtime's spool folder; its hooks write there whenever they get no answer."""

    folder: Path
    hooks: Hooks
    principal: Principal

    async def run(self) -> int:
        """Store what lies in the spool and return how much that was; what fails for now stays, in order."""
        delivered = 0
        for path in await asyncio.to_thread(self._pending):
            content = await asyncio.to_thread(_read, path)
            if content is None:
                continue
            try:
                event = parse_spooled(content)
                headers = {**event.headers, _SPOOLED: "1"}
                await self.hooks.receive(self.principal, event.event_name, event.body, headers, None)
            except (BadSpoolFile, InvalidInput, NotFound, Forbidden) as error:
                log.warning("set a spooled event aside", action="spool_rejected", file=path.name, reason=str(error))
                await asyncio.to_thread(self._reject, path)
                continue
            path.unlink(missing_ok=True)
            delivered += 1
        if delivered:
            log.info("delivered spooled events", action="spool_drained", events=delivered)
        return delivered

    def state(self) -> dict[str, object]:
        """Count what waits, what was set aside and what hooks had to drop."""
        dropped = 0
        with suppress(OSError, ValueError):
            dropped = int(self.folder.joinpath(".dropped").read_text("ascii"))
        rejected = self.folder / "rejected"
        return {
            "pending": len(self._pending()),
            "rejected": sum(1 for _ in rejected.glob(f"*{SUFFIX}")) if rejected.is_dir() else 0,
            "dropped": dropped,
        }

    def _pending(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if path.name.endswith(SUFFIX) and path.name[0] != ".")
        except OSError:
            return []

    def _reject(self, path: Path) -> None:
        rejected = self.folder / "rejected"
        with suppress(OSError):
            rejected.mkdir(mode=0o700, exist_ok=True)
            path.replace(rejected / path.name)
            for old in sorted(rejected.iterdir())[:-_MOST_REJECTED]:
                old.unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    """Read a spooled file; None when another drain took it."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
