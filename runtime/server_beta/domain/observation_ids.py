"""How people and models name an observation: by its id, or by the last eight digits of it that every page shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

_SHORT = re.compile(r"[0-9a-f]{8}")
_WHOLE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ObservationIds:
    """Ids that were asked for: whole ones, and the last digits of others, in lower case."""

    whole: tuple[UUID, ...] = ()
    short: tuple[str, ...] = ()


def is_observation_id(text: str) -> bool:
    """Tell whether the text can name an observation; upper case and lower case are alike."""
    lowered = text.strip().lower()
    return _SHORT.fullmatch(lowered) is not None or _WHOLE.fullmatch(lowered) is not None


def observation_ids(texts: Iterable[str]) -> ObservationIds:
    """Sort ids into whole and short ones, each once; what is no id is left out."""
    lowered = dict.fromkeys(text.strip().lower() for text in texts)
    return ObservationIds(
        whole=tuple(dict.fromkeys(UUID(text) for text in lowered if _WHOLE.fullmatch(text))),
        short=tuple(text for text in lowered if _SHORT.fullmatch(text)),
    )
