"""Generation without a model: what happened, read from the recorded events; equal input gives equal output."""

from __future__ import annotations

from .observe import observe
from .provider import ExtractiveProvider
from .summarise import summarise

__all__ = ["ExtractiveProvider", "observe", "summarise"]
