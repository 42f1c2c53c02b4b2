"""The provider that needs no model, no key and no network."""

from __future__ import annotations

from ...domain.ports import Generated, Outcome
from ...domain.turns import Material
from .observe import observe
from .summarise import summarise


class ExtractiveProvider:
    """Makes observations from prompts, tool inputs and results, and the agent's own last words."""

    @property
    def name(self) -> str:
        """The provider's name in settings, health and usage."""
        return "extractive"

    async def observe(self, material: Material) -> Outcome:
        """Make the observations of a turn, or of a single event."""
        return Generated(observe(material))

    async def summarise(self, material: Material) -> Outcome:
        """Make at most one draft, of kind `summary`, out of a whole session's events."""
        draft = summarise(material)
        return Generated(() if draft is None else (draft,))
