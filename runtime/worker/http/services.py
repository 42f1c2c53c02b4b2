"""The use cases that the routes call; bootstrap builds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..services.context import Context
    from ..services.health import Health
    from ..services.hooks import Hooks
    from ..services.jobs import Jobs
    from ..services.local_token import LocalToken
    from ..services.observations import Observations
    from ..services.projects import Projects


@dataclass(frozen=True, slots=True)
class Services:
    """One use case object for each noun that the API speaks of."""

    token: LocalToken
    hooks: Hooks
    context: Context
    observations: Observations
    jobs: Jobs
    projects: Projects
    health: Health
