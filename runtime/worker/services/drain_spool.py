"""Deliver the events that hooks spooled while nobody answered: in order, each once."""

from __future__ import annotations

import asyncio
import logging
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from ..domain.errors import InvalidInput, Unavailable
from ..domain.spool import SUFFIX, BadSpoolFile, SpooledEvent, parse_spooled
from .hooks import Hooks

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=1)
_ADAPTER = "claude-code"
_SPOOLED = "x-claude-mem-spooled"
_MOST_REJECTED = 100
# A hook sends at most 5 MiB and a head; headers are bounded by what a request may hold.
_MAX_BYTES = 6 * 1024 * 1024
_PUT_OFF_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DrainSpool:
    """Reads one runtime's spool folder; its hooks write there whenever they get no answer."""

    folder: Path
    hooks: Hooks
    _put_off: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Store what lies in the spool; what fails for now stays, in order. Raises Unavailable."""
        delivered = 0
        for path in await asyncio.to_thread(self._pending):
            if self._put_off.get(path.name, 0.0) > time.monotonic():
                continue
            try:
                delivered += await self._deliver(path)
            except Unavailable:
                raise
            except Exception:
                # One file that nobody foresaw must not keep the others waiting.
                log.exception("a spooled event failed", extra={"action": "spool_put_off", "file": path.name})
                self._put_off[path.name] = time.monotonic() + _PUT_OFF_SECONDS
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

    async def _deliver(self, path: Path) -> bool:
        """Deliver one file; false when it was set aside, or is not there any more."""
        try:
            content = await asyncio.to_thread(_read, path)
            if content is None:
                return False
            event = _event(content)
            await self.hooks.receive(event.event_name, event.body, {**event.headers, _SPOOLED: "1"})
        except (BadSpoolFile, InvalidInput) as error:
            log.warning(
                "set a spooled event aside",
                extra={"action": "spool_rejected", "file": path.name, "reason": str(error)},
            )
            await asyncio.to_thread(self._reject, path)
            return False
        # Only now: an event that is stored twice is known by its id, one that is lost is lost.
        await asyncio.to_thread(path.unlink, missing_ok=True)
        self._put_off.pop(path.name, None)
        return True

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
    """Read a spooled file; None when its hook has just dropped it for lack of space. Raises BadSpoolFile."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise BadSpoolFile("it is not a file")
        if found.st_size > _MAX_BYTES:
            raise BadSpoolFile("the file is larger than any event")
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _event(content: bytes) -> SpooledEvent:
    event = parse_spooled(content)
    if event.adapter != _ADAPTER:
        raise BadSpoolFile("the file is for another adapter")
    return event
