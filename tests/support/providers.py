"""A generator that says what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server_beta.domain.observations import SUMMARY_KIND, Draft
from server_beta.domain.ports import Generated, Outcome
from server_beta.domain.turns import Material

Answer = Outcome | Callable[[Material], Outcome] | Exception


class ScriptedProvider:
    """Implements Provider: gives its answers in order, the last one for ever; can be held in the middle of one."""

    name = "scripted"

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers) or [Generated((Draft("change", "Something changed"),))]
        self.asked: list[Material] = []
        self.entered = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def observe(self, material: Material) -> Outcome:
        """Give the next answer."""
        self.asked.append(material)
        self.entered.set()
        await self.may_go_on.wait()
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(material) if callable(answer) else answer

    async def summarise(self, material: Material) -> Outcome:
        """Summarise by counting."""
        self.asked.append(material)
        return Generated((Draft(SUMMARY_KIND, f"{len(material.events)} events"),))
