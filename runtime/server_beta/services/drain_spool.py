"""Deliver the events that hooks spooled while nobody answered: in order, each once."""

from __future__ import annotations

import asyncio
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from ..domain.errors import Forbidden, InvalidInput, NotFound, Unavailable
from ..domain.principals import Principal
from ..domain.spool import SUFFIX, BadSpoolFile, SpooledEvent, parse_spooled
from .hooks import PLATFORM, Hooks

log = structlog.get_logger()

EVERY = timedelta(seconds=1)
_MOST_REJECTED = 100
# A hook sends at most 5 MiB and a head; headers are bounded by what a request may hold.
_MAX_BYTES = 6 * 1024 * 1024
_PUT_OFF_SECONDS = 60.0
_SPOOLED = "x-claude-mem-spooled"


@dataclass(frozen=True, slots=True)
class DrainSpool:
    """Reads one runtime's spool folder; its hooks write there whenever they get no answer."""

    folder: Path
    hooks: Hooks
    principal: Principal
    _put_off: dict[str, float] = field(default_factory=dict)

    async def run(self) -> int:
        """Store what lies in the spool and return how much that was; what fails for now stays, in order."""
        delivered = 0
        for path in await asyncio.to_thread(self._pending):
            if self._put_off.get(path.name, 0.0) > time.monotonic():
                continue
            try:
                delivered += await self._deliver(path)
            except Unavailable:
                raise
            except Exception as error:
                # One file that nobody foresaw must not keep the others waiting.
                kind = type(error).__name__
                log.error("a spooled event failed", action="spool_put_off", file=path.name, error=kind)
                self._put_off[path.name] = time.monotonic() + _PUT_OFF_SECONDS
        if delivered:
            log.info("delivered spooled events", action="spool_drained", events=delivered)
        return delivered

    def state(self) -> dict[str, object]:
        """Count what waits, what was set aside and what hooks had to drop; blocks."""
        dropped = 0
        with suppress(OSError, ValueError):
            dropped = int(self.folder.joinpath(".dropped").read_text("ascii"))
        rejected = self.folder / "rejected"
        return {
            "pending": len(self._pending()),
            "rejected": sum(1 for _ in rejected.glob(f"*{SUFFIX}")) if rejected.is_dir() else 0,
            "dropped": dropped,
        }

    async def _deliver(self, path: Path) -> bool:
        """Deliver one file; false when it was set aside, or is not there any more."""
        try:
            content = await asyncio.to_thread(_read, path)
            if content is None:
                return False
            event = _event(content)
            headers = {**event.headers, _SPOOLED: "1"}
            await self.hooks.receive(self.principal, event.event_name, event.body, headers, None)
        except (BadSpoolFile, InvalidInput, NotFound, Forbidden) as error:
            log.warning("set a spooled event aside", action="spool_rejected", file=path.name, reason=str(error))
            await asyncio.to_thread(self._reject, path)
            return False
        await asyncio.to_thread(path.unlink, missing_ok=True)
        self._put_off.pop(path.name, None)
        return True

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
    """Read a spooled file; None when another drain took it. Raises BadSpoolFile for what no hook writes."""
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
    if event.adapter != PLATFORM:
        raise BadSpoolFile("the file is for another adapter")
    return event
