"""The list of jobs, one job and its history, and its payload: who sees what, and in which order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from server_beta.domain.ids import new_id
from server_beta.domain.jobs import SourceType
from server_beta.domain.ports import Retryable, Unusable
from tests.server_beta.integration.jobs_over_http import Api, serving
from tests.support.chain import Chain, titled
from tests.support.counting import run_sql
from tests.support.providers import ScriptedProvider
from tests.support.tenants import make_tenant


@pytest.fixture
async def api(chain: Chain, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(chain, tmp_path) as api:
        yield api


async def _all_pages(api: Api, path: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    separator = "&" if "?" in path else "?"
    page = await api.get(f"{path}{separator}limit={limit}")
    while True:
        assert len(page["jobs"]) <= limit
        found += page["jobs"]
        if page["nextCursor"] is None:
            return found
        page = await api.get(f"{path}{separator}limit={limit}&cursor={page['nextCursor']}")


async def test_jobs_are_listed_newest_first_and_paged_without_gap_or_double(api: Api) -> None:
    made = [str((await api.job(number)).job_id) for number in range(7)]
    # Of one instant, as those of a batch are: the id decides.
    await run_sql(api.chain.store, "UPDATE observation_generation_jobs SET created_at = now()")
    found = await _all_pages(api, "/v1/jobs", 2)
    assert [job["id"] for job in found] == sorted(made, reverse=True)
    counted = await api.get("/v1/jobs?limit=3&offset=3")
    assert [job["id"] for job in counted["jobs"]] == sorted(made, reverse=True)[3:6]
    assert (counted["total"], counted["limit"], counted["offset"], counted["requestId"]) == (7, 3, 3, "asked-1")
    first = await api.get("/v1/jobs?limit=6")
    assert (first["total"], len(first["jobs"])) == (7, 6)
    assert "total" not in await api.get(f"/v1/jobs?limit=6&cursor={first['nextCursor']}")


async def test_jobs_are_filtered(api: Api) -> None:
    chain = api.chain
    event = await api.job()
    batch = await chain.turn("Stop")
    await chain.generate(ScriptedProvider(titled("x"))).run(batch)
    summary = await chain.waiting(SourceType.SESSION_SUMMARY)
    (row,) = await run_sql(
        chain.store, "SELECT created_at FROM observation_generation_jobs WHERE id = $1", batch.job_id
    )
    assert isinstance(row["created_at"], datetime)
    at = row["created_at"].isoformat().replace("+00:00", "Z")
    every = {event.job_id, batch.job_id, summary.job_id}
    for query, wanted in (
        ("", every),
        ("status=queued", {event.job_id, summary.job_id}),
        ("status=completed", {batch.job_id}),
        ("status=cancelled", set()),
        ("sourceType=session_summary", {summary.job_id}),
        ("source_type=event_batch", {batch.job_id}),
        ("lane=event", {event.job_id}),
        ("lane=event&sourceType=event_batch", set()),
        (f"serverSessionId={chain.tenant.session_id}", {batch.job_id, summary.job_id}),
        (f"projectId={chain.tenant.project.id}", every),
        (f"since={at}", {batch.job_id, summary.job_id}),
        (f"until={at}", {event.job_id, batch.job_id}),
        (f"since={at}&until={at}", {batch.job_id}),
    ):
        page = await api.get(f"/v1/jobs?{query}")
        assert {job["id"] for job in page["jobs"]} == {str(job_id) for job_id in wanted}, query
        assert page["total"] == len(wanted), query


async def test_every_list_is_scoped(api: Api) -> None:
    chain, other = api.chain, await make_tenant(api.chain.store, "other")
    ours = str((await api.job()).job_id)
    (sibling,) = await run_sql(
        chain.store,
        "INSERT INTO projects (id, team_id, key, name) VALUES ($1, $2, 'k', 'n') RETURNING id",
        new_id(),
        chain.tenant.principal.team_id,
    )
    theirs, _ = await api.new_key("jobs:read", "jobs:write", team_id=other.principal.team_id)
    only_sibling, _ = await api.new_key("jobs:read", "jobs:write", project_id=sibling["id"])  # type: ignore[arg-type]
    only_ours, _ = await api.new_key("jobs:read", "jobs:write", project_id=chain.tenant.project.id)
    team, project = chain.tenant.principal.team_id, chain.tenant.project.id
    for key, seen in ((api.key, [ours]), (only_ours, [ours]), (only_sibling, []), (theirs, [])):
        page = await api.get("/v1/jobs", key=key)
        assert ([job["id"] for job in page["jobs"]], page["total"]) == (seen, len(seen))
    for path, statuses in (
        (f"/v1/teams/{team}/jobs", (200, 200, 200, 404)),
        (f"/v1/teams/{other.principal.team_id}/jobs", (404, 404, 404, 200)),
        (f"/v1/projects/{project}/jobs", (200, 200, 404, 404)),
        (f"/v1/projects/{other.project.id}/jobs", (404, 404, 404, 200)),
        (f"/v1/jobs?projectId={project}", (200, 200, 404, 404)),
        (f"/v1/projects/{new_id()}/jobs", (404, 404, 404, 404)),
        ("/v1/projects/none/jobs", (404, 404, 404, 404)),
        (f"/v1/jobs/{ours}", (200, 200, 404, 404)),
    ):
        answers = [await api.ask("GET", path, key=key) for key in (api.key, only_ours, only_sibling, theirs)]
        assert tuple(answer.status for answer in answers) == statuses, path
    for verb in ("retry", "cancel"):
        for key in (only_sibling, theirs):
            assert (await api.ask("POST", f"/v1/jobs/{ours}/{verb}", key=key)).status == 404
    for path in (f"/v1/teams/{team}/jobs", f"/v1/projects/{project}/jobs"):
        assert [job["id"] for job in (await api.get(path))["jobs"]] == [ours]
    assert [job["id"] for job in (await api.get(f"/v1/teams/{team}/jobs", key=only_sibling))["jobs"]] == []
    assert (await api.get(f"/v1/jobs/{ours}"))["generationJob"]["status"] == "queued"


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("jobs:write", "GET", "/v1/jobs"),
        ("jobs:write", "GET", "/v1/usage"),
        ("jobs:read", "POST", "/v1/jobs/{id}/retry"),
        ("jobs:read", "POST", "/v1/jobs/{id}/cancel"),
        ("jobs:read", "GET", "/v1/jobs?include=payload"),
        ("jobs:read", "GET", "/v1/jobs/{id}?include=payload"),
    ],
)
async def test_a_key_without_the_scope_is_refused(api: Api, scope: str, method: str, path: str) -> None:
    job = await api.job()
    key, _ = await api.new_key(scope)
    assert (await api.ask(method, path.replace("{id}", str(job.job_id)), key=key)).status == 403
    assert await api.chain.status(job) == "queued"


async def test_a_job_tells_its_history(api: Api) -> None:
    batch = await api.chain.turn("Stop")
    await api.chain.relay.sweep()
    await api.chain.generate(ScriptedProvider(Retryable("busy"))).run(batch)
    job = (await api.get(f"/v1/jobs/{batch.job_id}"))["generationJob"]
    assert [(one["event"], one["attempt"], one["detail"]) for one in job["history"]] == [
        ("queued", 0, None),
        ("processing", 1, None),
        ("retry_scheduled", 1, "busy"),
    ]
    assert (job["status"], job["attempts"], job["lastError"], job["maxAttempts"]) == ("queued", 1, "busy", 3)
    assert all(one["createdAtEpoch"] > 0 for one in job["history"])


async def test_only_admin_sees_payloads_and_only_when_asked(api: Api) -> None:
    event = await api.job(text="canary-alone")
    await api.chain.put(1, "PostToolUse", "content", said="canary-first")
    await api.chain.put(2, "Stop", "close", said="canary-last")
    batch = await api.chain.waiting(SourceType.EVENT_BATCH)
    await api.chain.generate(ScriptedProvider()).run(batch)
    summary = await api.chain.waiting(SourceType.SESSION_SUMMARY)
    admin, _ = await api.new_key("admin")
    for path in ("/v1/jobs", f"/v1/jobs/{event.job_id}", f"/v1/jobs/{batch.job_id}"):
        for key in (api.key, admin):
            assert "canary" not in str(await api.get(path, key=key))
    listed = (await api.get("/v1/jobs?include=payload", key=admin))["jobs"]
    said = {job["id"]: [one["payload"] for one in job["payload"]["events"]] for job in listed}
    assert said[str(event.job_id)] == [{"text": "canary-alone"}]
    for job in (batch, summary):
        assert [one["said"] for one in said[str(job.job_id)]] == ["canary-first", "canary-last"]
        path = f"/v1/jobs/{job.job_id}?include=payload"
        alone = (await api.get(path, key=admin))["generationJob"]["payload"]["events"]
        assert [one["payload"]["said"] for one in alone] == ["canary-first", "canary-last"]
        assert [one["eventType"] for one in alone] == ["PostToolUse", "Stop"]


async def test_payloads_end_where_the_answer_is_full(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server_beta.services.jobs._MOST_PAYLOAD_BYTES", 3000)
    monkeypatch.setattr("server_beta.services.jobs._MOST_EVENTS_OF_EACH", 2)
    for number in range(5):
        await api.chain.put(number, "PostToolUse", "close", said=f"{number}" * 1000)
    admin, _ = await api.new_key("admin")
    (job,) = (await api.get("/v1/jobs?include=payload", key=admin))["jobs"]
    assert [one["payload"]["said"][0] for one in job["payload"]["events"]] == ["3", "4"]
    job = (await api.get(f"/v1/jobs/{job['id']}?include=payload", key=admin))["generationJob"]
    assert [one["payload"]["said"][0] for one in job["payload"]["events"]] == ["3", "4"]


async def test_an_error_quotes_no_secret(api: Api) -> None:
    job = await api.job()
    secret = "ghp_" + "a1B2" * 9
    said = f"401 for Authorization: Bearer {secret} <private>canary</private>" + "x" * 5000
    await api.chain.generate(ScriptedProvider(Unusable(said))).run(job)
    read = await api.get(f"/v1/jobs/{job.job_id}")
    assert secret not in str(read)
    assert "canary" not in str(read)
    assert read["generationJob"]["lastError"].startswith("401 for Authorization")
    assert len(read["generationJob"]["lastError"]) < 700


async def test_the_list_is_read_from_an_index(api: Api) -> None:
    await run_sql(
        api.chain.store,
        "INSERT INTO observation_generation_jobs (id, project_id, team_id, source_type, source_id, created_at)"
        " SELECT gen_random_uuid(), $1, $2, 'observation_reindex', gen_random_uuid(), now() - n * interval '1 minute'"
        " FROM generate_series(1, 5000) AS n",
        api.chain.tenant.project.id,
        api.chain.tenant.principal.team_id,
    )
    await run_sql(api.chain.store, "ANALYZE observation_generation_jobs")
    plan = await run_sql(
        api.chain.store,
        "EXPLAIN SELECT id FROM observation_generation_jobs WHERE team_id = $1 AND (created_at, id) < (now(), $1)"
        " ORDER BY created_at DESC, id DESC LIMIT 50",
        api.chain.tenant.principal.team_id,
    )
    told = "\n".join(str(line["QUERY PLAN"]) for line in plan)
    assert "Index" in told
    assert "Sort" not in told
