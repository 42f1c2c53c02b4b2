"""What generation costs: written with what it made, told by day, to those who may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from server_beta.domain.ids import ProjectId, new_id
from server_beta.domain.jobs import SourceType
from server_beta.domain.ports import Generated
from server_beta.domain.usage import Spent
from server_beta.providers.extractive import ExtractiveProvider
from tests.server_beta.integration.jobs_over_http import Api, serving
from tests.support.chain import Chain, titled
from tests.support.counting import count, run_sql
from tests.support.providers import ScriptedProvider
from tests.support.tenants import make_tenant

_NOTHING = {"calls": 0, "inputTokens": 0, "outputTokens": 0}


@pytest.fixture
async def api(chain: Chain, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(chain, tmp_path) as api:
        yield api


async def _spend(
    api: Api, day: str, tokens: int, *, project: UUID | None = None, model: str = "m", times: int = 1
) -> None:
    for _ in range(times):
        await run_sql(
            api.chain.store,
            "INSERT INTO token_usage (id, project_id, team_id, provider, model, lane, input_tokens, output_tokens,"
            " created_at) SELECT $1, project.id, project.team_id, 'p', $3, 'event', $4, 1, $5::text::timestamptz"
            " FROM projects AS project WHERE project.id = $2",
            new_id(),
            project or api.chain.tenant.project.id,
            model,
            tokens,
            day,
        )


async def test_the_built_in_provider_costs_nothing(api: Api) -> None:
    await api.chain.generate(ExtractiveProvider()).run(await api.job(text="We decided to keep prices in cents."))
    assert await api.get("/v1/usage") == {"usage": [], "totals": _NOTHING, "nextCursor": None}


async def test_what_a_call_cost_is_written_with_what_it_made(api: Api) -> None:
    spent = Spent("scripted", "model-1", 1200, 34)
    batch = await api.chain.turn("Stop")
    await api.chain.generate(ScriptedProvider(Generated(titled("x").drafts, spent))).run(batch)
    await api.chain.generate(ScriptedProvider()).run(await api.chain.waiting(SourceType.SESSION_SUMMARY))
    (row,) = await run_sql(api.chain.store, "SELECT job_id, created_at AT TIME ZONE 'UTC' AS at FROM token_usage")
    assert row["job_id"] == batch.job_id
    (line,) = (await api.get("/v1/usage"))["usage"]
    assert line == {
        "day": str(row["at"])[:10],
        "projectId": str(api.chain.tenant.project.id),
        "provider": "scripted",
        "model": "model-1",
        "lane": "event-batch",
        "calls": 1,
        "inputTokens": 1200,
        "outputTokens": 34,
    }


async def test_a_job_that_could_not_be_stored_costs_nothing_yet(api: Api) -> None:
    provider = ScriptedProvider(Generated(titled("no\0text").drafts, Spent("scripted", "m", 1, 1)))
    await api.chain.generate(provider).run(await api.job())
    assert await count(api.chain.store, "token_usage") == 0


async def test_usage_is_summed_up_by_day_of_utc_and_paged(api: Api) -> None:
    await _spend(api, "2026-02-01T23:59:59Z", 10, times=2)
    await _spend(api, "2026-02-02T00:30:00+01:00", 100)
    await _spend(api, "2026-02-02T00:00:00Z", 5, model="big")
    await _spend(api, "2026-02-02T00:00:00Z", 7, model="small")
    whole = await api.get("/v1/usage")
    told = [(one["day"], one["model"], one["calls"], one["inputTokens"], one["outputTokens"]) for one in whole["usage"]]
    assert told == [("2026-02-02", "small", 1, 7, 1), ("2026-02-02", "big", 1, 5, 1), ("2026-02-01", "m", 3, 120, 3)]
    assert whole["totals"] == {"calls": 5, "inputTokens": 132, "outputTokens": 5}
    paged: list[Any] = []
    page = await api.get("/v1/usage?limit=1")
    while True:
        assert page["totals"] == whole["totals"]
        paged += page["usage"]
        if page["nextCursor"] is None:
            break
        page = await api.get(f"/v1/usage?limit=1&cursor={page['nextCursor']}")
    assert paged == whole["usage"]


async def test_usage_is_filtered_and_scoped(api: Api) -> None:
    chain, other = api.chain, await make_tenant(api.chain.store, "other")
    sibling = new_id()
    await run_sql(
        chain.store,
        "INSERT INTO projects (id, team_id, key, name) VALUES ($1, $2, 'k', 'n')",
        sibling,
        chain.tenant.principal.team_id,
    )
    await _spend(api, "2026-02-01T00:00:00Z", 1)
    await _spend(api, "2026-02-02T00:00:00Z", 2)
    await _spend(api, "2026-02-02T00:00:00Z", 4, project=sibling)
    await _spend(api, "2026-02-02T00:00:00Z", 8, project=other.project.id)
    only_sibling, _ = await api.new_key("jobs:read", project_id=ProjectId(sibling))
    for query, key, tokens in (
        ("", api.key, 7),
        ("", only_sibling, 4),
        (f"projectId={sibling}", api.key, 4),
        (f"projectId={chain.tenant.project.id}", api.key, 3),
        ("since=2026-02-02T00:00:00Z", api.key, 6),
        ("until=2026-02-01T12:00:00Z", api.key, 1),
        ("since=1769904000000&until=1769904000000", api.key, 1),
    ):
        page = await api.get(f"/v1/usage?{query}", key=key)
        assert page["totals"]["inputTokens"] == tokens, query
        assert sum(line["inputTokens"] for line in page["usage"]) == tokens, query
    for path, key in (
        (f"/v1/usage?projectId={other.project.id}", api.key),
        (f"/v1/usage?projectId={chain.tenant.project.id}", only_sibling),
        (f"/v1/usage?projectId={new_id()}", api.key),
    ):
        assert (await api.ask("GET", path, key=key)).status == 404


@pytest.mark.parametrize(
    "query",
    [
        "since=x",
        "until=",
        "projectId=x",
        "limit=0",
        "limit=1001",
        "cursor=x",
        "cursor=e30=",
        "day=1",
        "limit=1&limit=2",
    ],
)
async def test_a_bad_filter_is_refused(api: Api, query: str) -> None:
    answer = await api.ask("GET", f"/v1/usage?{query}")
    assert (answer.status, answer.body["error"]) == (400, "ValidationError")
