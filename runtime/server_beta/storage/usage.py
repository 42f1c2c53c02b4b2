"""Token usage: one row for each call to a provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.ids import TeamId, new_id
from ..domain.jobs import Claim
from ..domain.usage import Spent, Tokens, UsageFilter, UsageKey
from .database import Connection


async def record(connection: Connection, claim: Claim, spent: Spent) -> None:
    """Add what a call for a claimed job has cost."""
    await connection.run(
        "usage/insert",
        new_id(),
        claim.project_id,
        claim.team_id,
        claim.job_id,
        spent.provider,
        spent.model,
        claim.source_type.lane.value,
        spent.input_tokens,
        spent.output_tokens,
    )


async def by_day(connection: Connection, team_id: TeamId, wanted: UsageFilter) -> Sequence[tuple[UsageKey, Tokens]]:
    """Return the usage that passes the filter, summed up by day and by what it was spent on, newest day first."""
    after = wanted.after
    rows = await connection.rows(
        "usage/by_day",
        team_id,
        wanted.project_id,
        wanted.since,
        wanted.until,
        after and after.day,
        after and after.project_id,
        after and after.provider,
        after and after.model,
        after and after.lane,
        wanted.limit,
    )
    return [
        (UsageKey(row["day"], row["project_id"], row["provider"], row["model"], row["lane"]), _tokens(row))
        for row in rows
    ]


async def totals(connection: Connection, team_id: TeamId, wanted: UsageFilter) -> Tokens:
    """Sum up all usage that passes the filter, whatever its page."""
    row = await connection.row("usage/totals", team_id, wanted.project_id, wanted.since, wanted.until)
    assert row is not None
    return _tokens(row)


def _tokens(row: Mapping[str, Any]) -> Tokens:
    # Postgres sums bigint up as numeric.
    return Tokens(row["calls"], int(row["input_tokens"]), int(row["output_tokens"]))
