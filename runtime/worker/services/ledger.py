"""The ledger of generation: when it last worked, and how often it has failed since; what health and status show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class Ledger:
    """Counts in this process."""

    last_success_at: datetime | None = None
    consecutive_failures: int = 0
    last_failure: str | None = None

    def succeeded(self, at: datetime) -> None:
        """Note a success."""
        self.last_success_at = at
        self.consecutive_failures = 0
        self.last_failure = None

    def failed(self, reason: str) -> None:
        """Note a failure; the reason is shown to operators."""
        self.consecutive_failures += 1
        self.last_failure = reason
