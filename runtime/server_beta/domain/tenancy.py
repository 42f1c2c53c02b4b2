"""The one team that exists without anybody having made it."""

from __future__ import annotations

from .ids import TeamId, derived_id

# The same in every database, so that bootstraps which race make one team.
LOCAL_TEAM_ID = TeamId(derived_id("team", "local"))
LOCAL_TEAM_NAME = "local"
