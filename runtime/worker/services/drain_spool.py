"""Deliver the events that hooks spooled while nobody answered: in order, each once."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ..domain.errors import InvalidInput
from ..domain.spool import SUFFIX, BadSpoolFile, parse_spooled
from .hooks import Hooks

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=1)
_ADAPTER = "claude-code"
_SPOOLED = "x-claude-mem-spooled"
_MOST_REJECTED = 100


@dataclass(frozen=True, slots=True)
class DrainSpool:
    """Reads one runtime's spool folder; its hooks write there whenever they get no answer."""

    folder: Path
    hooks: Hooks

    async def run(self) -> None:
        """Store what lies in the spool; what fails for now stays, in order. Raises Unavailable."""
        delivered = 0
        for path in await asyncio.to_thread(self._pending):
            content = await asyncio.to_thread(_read, path)
            if content is None:
                continue
            try:
                await self._deliver(content)
            except (BadSpoolFile, InvalidInput) as error:
                log.warning(
                    "set a spooled event aside",
                    extra={"action": "spool_rejected", "file": path.name, "reason": str(error)},
                )
                await asyncio.to_thread(self._reject, path)
                continue
            # Only now: an event that is stored twice is known by its id, one that is lost is lost.
            await asyncio.to_thread(path.unlink, missing_ok=True)
            delivered += 1
        if delivered:
            log.info("delivered spooled events", extra={"action": "spool_drained", "events": delivered})

    def state(self) -> dict[str, object]:
        """Count what waits, what was set aside and what hooks had to drop; blocks."""
        dropped = 0
        with suppress(OSError, ValueError):
            dropped = int(self.folder.joinpath(".dropped").read_text("ascii"))
        return {
            "pending": len(self._pending()),
            "rejected": len(_spool_files(self.folder / "rejected")),
            "dropped": dropped,
        }

    async def _deliver(self, content: bytes) -> None:
        event = parse_spooled(content)
        if event.adapter != _ADAPTER:
            raise BadSpoolFile("the file is for another adapter")
        await self.hooks.receive(event.event_name, event.body, {**event.headers, _SPOOLED: "1"})

    def _pending(self) -> list[Path]:
        return _spool_files(self.folder)

    def _reject(self, path: Path) -> None:
        rejected = self.folder / "rejected"
        with suppress(OSError):
            rejected.mkdir(mode=0o700, exist_ok=True)
            path.replace(rejected / path.name)
            for old in sorted(rejected.iterdir())[:-_MOST_REJECTED]:
                old.unlink(missing_ok=True)


def _spool_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX) and path.name[0] != ".")
    except OSError:
        return []


def _read(path: Path) -> bytes | None:
    """Read a spooled file; None when its hook has just dropped it for lack of space."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
