"""A provider that is timed and counted: it asks another one and hands its answer on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import assert_never

from ..domain.ports import Generated, Outcome, Provider, Retryable, Unusable
from ..domain.turns import Material
from .metrics import Metrics


@dataclass(frozen=True, slots=True)
class MeasuredProvider:
    """Implements Provider."""

    inner: Provider
    metrics: Metrics

    @property
    def name(self) -> str:
        """The name of the provider that is measured."""
        return self.inner.name

    async def observe(self, material: Material) -> Outcome:
        """Make the observations of a turn, or of a single event."""
        return await self._measured("observe", self.inner.observe(material))

    async def summarise(self, material: Material) -> Outcome:
        """Make at most one draft out of a whole session's events."""
        return await self._measured("summarise", self.inner.summarise(material))

    async def _measured(self, task: str, asking: Awaitable[Outcome]) -> Outcome:
        began = time.monotonic()
        word = "raised"
        try:
            outcome = await asking
            word = _word(outcome)
        except asyncio.CancelledError:
            word = "interrupted"
            raise
        finally:
            self.metrics.generated(task, word, time.monotonic() - began)
        if isinstance(outcome, Generated) and outcome.spent is not None:
            self.metrics.spent(outcome.spent.input_tokens, outcome.spent.output_tokens)
        return outcome


def _word(outcome: Outcome) -> str:
    match outcome:
        case Generated():
            return "generated"
        case Retryable():
            return "retryable"
        case Unusable():
            return "unusable"
        case _:
            assert_never(outcome)
