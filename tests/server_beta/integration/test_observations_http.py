"""Observations that a client words itself, over HTTP: read back as written, found, changed, deleted and audited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server_beta.domain.ids import new_id
from tests.support.api import REQUEST_ID, Api, serving
from tests.support.counting import count, run_sql
from tests.support.tenants import Tenant, make_tenant

TEXT = "\n  Prices are in cents.\r\n\n\tAlways — even in 日本.  \n"


@pytest.fixture
async def api(database: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(database, tmp_path) as served:
        yield served


@pytest.fixture
async def tenant(api: Api) -> Tenant:
    return await make_tenant(api.store)


@pytest.fixture
async def key(api: Api, tenant: Tenant) -> str:
    return await api.key(tenant)


async def _write(api: Api, key: str, tenant: Tenant, **said: object) -> dict[str, Any]:
    answer = await api.ask(key, "POST", "/v1/observations", {"projectId": str(tenant.project.id), **said})
    assert answer.status == 201, answer
    written: dict[str, Any] = answer.body["observation"]
    return written


@pytest.mark.parametrize(("path", "member"), [("/v1/memories", "memory"), ("/v1/observations", "observation")])
async def test_what_is_written_is_what_is_read_and_found(
    api: Api, tenant: Tenant, key: str, path: str, member: str
) -> None:
    body = {
        "projectId": str(tenant.project.id),
        "content": TEXT,
        "metadata": {"by": "ada"},
        "serverSessionId": str(tenant.session_id),
    }
    posted = await api.ask(key, "POST", path, body)
    assert posted.status == 201
    written = posted.body[member]
    assert (written["content"], written["kind"], written["metadata"]) == (TEXT, "manual", {"by": "ada"})
    assert written["title"] == "Prices are in cents."
    assert written["serverSessionId"] == str(tenant.session_id)
    assert (await api.ask(key, "GET", f"{path}/{written['id']}")).body == {member: written}
    assert (await api.ask(key, "GET", f"{path}?projectId={tenant.project.id}")).body["observations"] == [written]
    (hit,) = (await api.ask(key, "POST", "/v1/search", {"query": "日本"})).body["observations"]
    assert (hit["id"], hit["content"]) == (written["id"], TEXT)
    context = (await api.ask(key, "GET", f"/v1/context/recent?projectId={tenant.project.id}")).body
    assert context["observationIds"] == [written["id"]]
    assert "Prices are in cents." in context["context"]
    assert (await api.ask(key, "GET", f"/v1/timeline?anchor={written['id'][-8:]}")).body["anchorId"] == written["id"]


async def test_the_parts_make_the_content_and_are_all_found(api: Api, tenant: Tenant, key: str) -> None:
    parts = {
        "kind": "decision",
        "title": "Round half up",
        "subtitle": "for totals",
        "narrative": "Banker's rounding surprised accountants.",
        "facts": ["The cart uses Decimal"],
        "concepts": ["rounding"],
        "filesRead": ["docs/money.md"],
        "filesModified": ["src/cart.py"],
    }
    written = await _write(api, key, tenant, **parts)
    assert {name: written[name] for name in parts} == parts
    assert written["content"].splitlines() == [
        "Round half up",
        "for totals",
        "Banker's rounding surprised accountants.",
        "- The cart uses Decimal",
        "read: docs/money.md",
        "modified: src/cart.py",
    ]
    for word in ("half", "totals", "accountants", "Decimal", "rounding", "docs/money.md", "src/cart.py"):
        assert len((await api.ask(key, "POST", "/v1/search", {"query": word})).body["observations"]) == 1, word


async def test_nothing_is_generated_and_the_source_is_the_observation_itself(
    api: Api, tenant: Tenant, key: str
) -> None:
    written = await _write(api, key, tenant, content="Prices are in cents.")
    assert await count(api.store, "observation_generation_jobs") == 0
    (source,) = await run_sql(
        api.store, "SELECT observation_id, source_type, source_id, job_id FROM observation_sources"
    )
    assert {name: str(value) for name, value in source.items()} == {
        "observation_id": written["id"],
        "source_type": "manual",
        "source_id": written["id"],
        "job_id": "None",
    }


async def test_private_text_and_secrets_are_cut_before_they_are_stored(api: Api, tenant: Tenant, key: str) -> None:
    secret = "AKIA" + "Q3EXAMPLEKEY7ABC"
    said = {
        "content": f"The key <private>canary-1</private> is {secret}.",
        "title": "Named <private>canary-2</private>",
        "facts": ["<private>canary-3</private>", "kept"],
        "filesRead": ["a<private>canary-4</private>.py"],
        "metadata": {"<private>canary-5</private>": "<private>canary-6</private>", "password": "canary-7"},
    }
    written = await _write(api, key, tenant, **said)
    changed = await api.ask(key, "PATCH", f"/v1/observations/{written['id']}", {"content": said["content"]})
    assert changed.body["observation"]["content"] == written["content"]
    assert written["facts"] == ["kept"]
    assert await count(api.store, "observations", "observations::text LIKE '%canary%'") == 0
    assert await count(api.store, "observations", f"observations::text LIKE '%{secret}%'") == 0
    assert await count(api.store, "audit_log", "audit_log::text LIKE '%canary%'") == 0


async def test_a_change_leaves_the_rest_and_search_follows(api: Api, tenant: Tenant, key: str) -> None:
    written = await _write(api, key, tenant, content="Prices are in cents.", facts=["one"], metadata={"a": 1})
    path = f"/v1/observations/{written['id']}"
    changed = (await api.ask(key, "PATCH", path, {"content": "Weights are in grams."})).body["observation"]
    assert changed["content"] == changed["title"] == "Weights are in grams."
    assert (changed["facts"], changed["metadata"]) == (["one"], {"a": 1})
    assert changed["createdAtEpoch"] == written["createdAtEpoch"]
    (row,) = await run_sql(api.store, "SELECT updated_at > created_at AS has_moved FROM observations")
    assert row["has_moved"]
    assert (await api.ask(key, "POST", "/v1/search", {"query": "cents"})).body["observations"] == []
    (hit,) = (await api.ask(key, "POST", "/v1/search", {"query": "grams"})).body["observations"]
    assert hit["content"] == "Weights are in grams."
    titled = (await api.ask(key, "PATCH", path, {"title": "Units", "facts": []})).body["observation"]
    assert (titled["title"], titled["content"], titled["facts"]) == ("Units", "Weights are in grams.", [])
    assert (await api.ask(key, "GET", path)).body["observation"] == titled


async def test_changes_at_once_do_not_lose_each_other(api: Api, tenant: Tenant, key: str) -> None:
    written = await _write(api, key, tenant, title="T", narrative="N")
    changes: dict[str, object] = {
        "kind": "decision",
        "title": "T2",
        "subtitle": "S2",
        "narrative": "N2",
        "facts": ["F2"],
        "concepts": ["C2"],
        "filesRead": ["r2"],
        "filesModified": ["m2"],
        "metadata": {"m": 2},
    }
    path = f"/v1/memories/{written['id']}"
    answers = await asyncio.gather(*(api.ask(key, "PATCH", path, {name: value}) for name, value in changes.items()))
    assert {answer.status for answer in answers} == {200}
    stored = (await api.ask(key, "GET", path)).body["memory"]
    assert {name: stored[name] for name in changes} == changes
    assert stored["content"] == "T2\nS2\nN2\n- F2\nread: r2\nmodified: m2"
    assert [row["action"] for row in await api.audited(written["id"])].count("observation.updated") == len(changes)


async def test_a_deleted_observation_is_gone_for_good(api: Api, tenant: Tenant, key: str) -> None:
    written = await _write(api, key, tenant, content="Prices are in cents.")
    path = f"/v1/memories/{written['id']}"
    first = await api.ask(key, "DELETE", path)
    assert (first.status, first.body) == (200, {"deleted": True, "id": written["id"]})
    for method, body in (("DELETE", None), ("GET", None), ("PATCH", {"title": "x"})):
        assert (await api.ask(key, method, path, body)).status == 404, method
    assert (await api.ask(key, "POST", "/v1/search", {"query": "cents"})).body["observations"] == []
    assert await count(api.store, "observations") == await count(api.store, "observation_sources") == 0


async def test_of_many_deletes_at_once_one_succeeds(api: Api, tenant: Tenant, key: str) -> None:
    written = await _write(api, key, tenant, content="Prices are in cents.")
    answers = await asyncio.gather(*(api.ask(key, "DELETE", f"/v1/observations/{written['id']}") for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] + [404] * 9
    assert [row["action"] for row in await api.audited(written["id"])] == ["observation.created", "observation.deleted"]


async def test_every_change_is_audited_with_its_key_and_request(api: Api, tenant: Tenant) -> None:
    key, key_id = await api.key_and_id(tenant)
    written = await _write(api, key, tenant, content="Prices are in cents.")
    await api.ask(key, "PATCH", f"/v1/observations/{written['id']}", {"title": "Cents"})
    await api.ask(key, "DELETE", f"/v1/observations/{written['id']}")
    rows = await api.audited(written["id"])
    assert [row.pop("action") for row in rows] == [
        "observation.created",
        "observation.updated",
        "observation.deleted",
    ]
    for row in rows:
        assert row == {
            "actor": f"api_key:{key_id}",
            "api_key_id": key_id,
            "request_id": REQUEST_ID,
            "project_id": tenant.project.id,
            "team_id": tenant.principal.team_id,
            "details": {},
        }


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
async def test_what_cannot_be_audited_does_not_happen(api: Api, tenant: Tenant, key: str, method: str) -> None:
    written = await _write(api, key, tenant, content="Prices are in cents.")
    before = await run_sql(api.store, "SELECT id, content, updated_at FROM observations")
    await run_sql(api.store, "ALTER TABLE audit_log ADD CONSTRAINT broken CHECK (false) NOT VALID")
    path = "/v1/observations" if method == "POST" else f"/v1/observations/{written['id']}"
    body = {"content": "Other.", **({"projectId": str(tenant.project.id)} if method == "POST" else {})}
    assert (await api.ask(key, method, path, body)).status == 500
    assert await run_sql(api.store, "SELECT id, content, updated_at FROM observations") == before


async def test_a_foreign_project_session_or_observation_is_not_found(api: Api, tenant: Tenant, key: str) -> None:
    other = await make_tenant(api.store, "other")
    written = await _write(api, key, tenant, content="Prices are in cents.")
    sibling = (await api.ask(key, "POST", "/v1/projects", {"key": "git:sibling"})).body["project"]["id"]
    stranger = await api.key(other)
    of_sibling = await api.key(tenant, project_id=sibling)
    mine = str(tenant.project.id)
    for who, body in (
        (stranger, {"projectId": mine}),
        (of_sibling, {"projectId": mine}),
        (key, {"projectId": str(other.project.id)}),
        (key, {"projectId": str(new_id())}),
        (key, {"projectId": mine, "serverSessionId": str(other.session_id)}),
        (key, {"projectId": sibling, "serverSessionId": str(tenant.session_id)}),
        (key, {"projectId": mine, "serverSessionId": str(new_id())}),
    ):
        assert (await api.ask(who, "POST", "/v1/observations", {"content": "x", **body})).status == 404, body
    for who in (stranger, of_sibling):
        for method, path in (("GET", "memories"), ("PATCH", "memories"), ("DELETE", "observations")):
            answer = await api.ask(who, method, f"/v1/{path}/{written['id']}", {"title": "x"})
            assert answer.status == 404, (method, path)
    assert (await api.ask(key, "GET", f"/v1/observations/{written['id']}")).body["observation"] == written
    assert await count(api.store, "observations") == 1
    assert await count(api.store, "audit_log", "action LIKE 'observation.%'") == 1


async def test_writing_needs_its_scope(api: Api, tenant: Tenant, key: str) -> None:
    written = await _write(api, key, tenant, content="Prices are in cents.")
    reader = await api.key(tenant, "observations:read")
    writer = await api.key(tenant, "memories:write")
    path = f"/v1/observations/{written['id']}"
    assert (await api.ask(reader, "GET", path)).status == 200
    for method in ("PATCH", "DELETE"):
        assert (await api.ask(reader, method, path, {"title": "x"})).status == 403
    body = {"projectId": str(tenant.project.id), "content": "x"}
    assert (await api.ask(reader, "POST", "/v1/memories", body)).status == 403
    assert (await api.ask(writer, "POST", "/v1/memories", body)).status == 201


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"content": ""},
        {"content": None},
        {"narrative": ""},
        {"facts": ["alone"]},
        {"content": "a", "narrative": "b"},
        {"content": "<private>all of it</private>"},
        {"content": " \n\t\u200b"},
        {"content": "a", "title": "<private>a</private>"},
        {"content": "a", "kind": "<private>a</private>"},
        {"content": "a", "kind": ""},
        {"content": "a", "kind": "k" * 65},
        {"content": 5},
        {"content": "a", "facts": "b"},
        {"content": "a", "facts": [1]},
        {"content": "a", "metadata": []},
        {"content": "a", "filesModified": ["é" * 1500]},
        {"content": "a", "serverSessionId": "x"},
        {"content": "é" * 200_000},
        {"content": "a" * 200_000, "facts": ["b" * 4000] * 20},
    ],
)
async def test_what_says_nothing_or_too_much_is_refused(
    api: Api, tenant: Tenant, key: str, said: dict[str, object]
) -> None:
    answer = await api.ask(key, "POST", "/v1/observations", {"projectId": str(tenant.project.id), **said})
    assert answer.status == 400, answer
    assert answer.body["issues"]
    assert await count(api.store, "observations") == 0


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"content": None},
        {"title": None},
        {"facts": None},
        {"metadata": None},
        {"content": "a", "narrative": "b"},
        {"projectId": "0190b0f0-0000-7000-8000-000000000001"},
        {"naritive": "misspelt", "title": "T"},
        {"content": "<private>all of it</private>"},
        {"title": "\u200b"},
        {"content": "é" * 200_000},
    ],
)
async def test_a_change_that_is_none_or_cannot_be_is_refused(
    api: Api, tenant: Tenant, key: str, said: dict[str, object]
) -> None:
    written = await _write(api, key, tenant, content="Prices are in cents.")
    path = f"/v1/observations/{written['id']}"
    assert (await api.ask(key, "PATCH", path, said)).status == 400
    assert (await api.ask(key, "GET", path)).body["observation"] == written


AWKWARD = {
    "hyphens": "-".join(f"wörd{number}" for number in range(40_000)),
    "short words": " ".join(f"{number:x}" for number in range(60_000)),
    "addresses": " ".join(f"http://h{number}.example.org/p{number}/q{number}?r={number}" for number in range(8_000)),
    "wide": " ".join(chr(0x20000 + number) * 3 for number in range(20_000)),
    "paths": " ".join(f"/a{number}/b{number}.c{number}" for number in range(15_000)),
}


@pytest.mark.parametrize("words", AWKWARD.values(), ids=AWKWARD)
async def test_the_longest_text_is_searchable_whatever_it_is_made_of(
    api: Api, tenant: Tenant, key: str, words: str
) -> None:
    longest = words.encode()[: 256 * 1024 - 200].decode("utf-8", "ignore")
    written = await _write(api, key, tenant, content=longest, title="Marmalade")
    assert written["content"] == longest
    assert len((await api.ask(key, "POST", "/v1/search", {"query": "Marmalade"})).body["observations"]) == 1
