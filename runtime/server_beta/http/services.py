"""The use cases that the routes call; bootstrap builds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..services.access import Access
    from ..services.audit import Audit
    from ..services.author import Author
    from ..services.broadcaster import Broadcaster
    from ..services.context import Context
    from ..services.exposition import Exposition
    from ..services.health import Health
    from ..services.hooks import Hooks
    from ..services.ingest import Ingest
    from ..services.jobs import Jobs
    from ..services.keys import Keys
    from ..services.legacy import Legacy
    from ..services.metrics import Metrics
    from ..services.observations import Observations
    from ..services.projects import Projects
    from ..services.purge import Purge
    from ..services.sessions import Sessions
    from ..services.usage import UsageReport


@dataclass(frozen=True, slots=True)
class Services:
    """One use case object for each noun that the API speaks of."""

    access: Access
    hooks: Hooks
    ingest: Ingest
    sessions: Sessions
    context: Context
    observations: Observations
    jobs: Jobs
    projects: Projects
    health: Health
    usage: UsageReport
    broadcaster: Broadcaster
    metrics: Metrics
    exposition: Exposition
    keys: Keys
    audit: Audit
    author: Author
    purge: Purge
    legacy: Legacy
