"""Observations by their ids, and what happened around one: seen by whom, in which order, named how."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from server_beta.domain.errors import Forbidden, InvalidInput, NotFound
from server_beta.domain.ids import TeamId, short_id
from server_beta.domain.observations import Draft, Observation
from server_beta.domain.records import Project, SearchRequest, TimelineRequest
from server_beta.services.observations import Observations
from server_beta.storage import observations, tenants
from server_beta.storage.database import Database
from tests.support.tenants import BEGINNING, Tenant, make_tenant

_numbers = itertools.count()


async def remember(store: Database, team_id: TeamId, project: Project, title: str, second: int = 0) -> Observation:
    async with store.connection() as connection:
        return await observations.upsert(
            connection,
            team_id,
            project.id,
            None,
            Draft("discovery", title),
            generation_key=f"key-{next(_numbers)}",
            happened_at=BEGINNING + timedelta(seconds=second),
        )


async def another_project(store: Database, tenant: Tenant) -> Project:
    async with store.connection() as connection:
        other, _ = await tenants.find_or_create_project(
            connection, tenant.principal.team_id, "git:example.org/two", "two"
        )
        return other


@pytest.fixture
def recall(store: Database) -> Observations:
    return Observations(store)


def titles(found: Sequence[Observation]) -> list[str]:
    return [one.draft.title for one in found]


async def test_neighbours_come_in_order_of_time_from_the_same_project(
    store: Database, tenant: Tenant, recall: Observations
) -> None:
    team_id, elsewhere = tenant.principal.team_id, await another_project(store, tenant)
    made = [await remember(store, team_id, tenant.project, f"at {second}", second) for second in (5, 1, 3, 4, 2)]
    await remember(store, team_id, elsewhere, "elsewhere", 3)
    anchor, around = await recall.timeline(tenant.principal, TimelineRequest(str(made[2].id), before=1, after=5))
    assert anchor == made[2]
    assert titles(around) == ["at 2", "at 3", "at 4", "at 5"]
    _, alone = await recall.timeline(tenant.principal, TimelineRequest(short_id(made[2].id), before=0, after=0))
    assert titles(alone) == ["at 3"]


async def test_neighbours_of_one_moment_come_in_the_order_of_their_ids(
    store: Database, tenant: Tenant, recall: Observations
) -> None:
    made = [await remember(store, tenant.principal.team_id, tenant.project, f"{number}") for number in range(5)]
    in_order = sorted(made, key=lambda one: one.id)
    _, around = await recall.timeline(tenant.principal, TimelineRequest(str(in_order[2].id), before=1, after=1))
    assert around == in_order[1:4]


async def test_a_short_id_that_names_two_finds_both_and_anchors_nothing(
    store: Database, tenant: Tenant, recall: Observations, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = [UUID("00000000-0000-7000-8000-0000aaaa9f3c"), UUID("00000001-0000-7000-8000-0000aaaa9f3c")]
    ids = iter(twins)
    monkeypatch.setattr(observations, "new_id", lambda: next(ids))
    made = [
        await remember(store, tenant.principal.team_id, tenant.project, title, second)
        for second, title in enumerate(("first", "second"))
    ]
    assert await recall.named(tenant.principal, ["AAAA9F3C"]) == made
    assert await recall.named(tenant.principal, ["aaaa9f3c", str(made[1].id)]) == made
    with pytest.raises(InvalidInput) as refused:
        await recall.timeline(tenant.principal, TimelineRequest("aaaa9f3c"))
    assert all(str(twin) in str(refused.value) for twin in twins)
    hits = await recall.search(tenant.principal, SearchRequest("aaaa9f3c"))
    assert titles([hit.observation for hit in hits]) == ["first", "second"]
    assert len(await recall.search(tenant.principal, SearchRequest("aaaa9f3c", limit=1))) == 1
    assert await recall.search(tenant.principal, SearchRequest("aaaa9f3c", offset=1)) == []


async def test_an_id_in_place_of_a_question_comes_before_what_quotes_it(
    store: Database, tenant: Tenant, recall: Observations
) -> None:
    team_id, elsewhere = tenant.principal.team_id, await another_project(store, tenant)
    meant = await remember(store, team_id, tenant.project, "the one that is meant")
    short = short_id(meant.id)
    await remember(store, team_id, tenant.project, f"reverts {short} and more", 1)
    hits = await recall.search(tenant.principal, SearchRequest(f" {short} "))
    assert titles([hit.observation for hit in hits]) == ["the one that is meant", f"reverts {short} and more"]
    assert await recall.search(tenant.principal, SearchRequest(short, project_id=elsewhere.id)) == []


@pytest.mark.parametrize("words", [1, 500])
async def test_the_best_match_comes_first_however_long_the_question(
    store: Database, tenant: Tenant, recall: Observations, words: int
) -> None:
    for title in ("Rounding of invoices", "Rounding half cents up in the cart", "Deployment"):
        await remember(store, tenant.principal.team_id, tenant.project, title)
    padding = " ".join(f"zz{number}" for number in range(words))[:3_900]
    hits = await recall.search(tenant.principal, SearchRequest(f"rounding half cents {padding}"))
    assert [hit.observation.draft.title for hit in hits] == [
        "Rounding half cents up in the cart",
        "Rounding of invoices",
    ]
    assert hits[0].score > hits[1].score > 0


async def test_nothing_of_another_team_or_project_is_seen(
    store: Database, tenant: Tenant, recall: Observations
) -> None:
    stranger = await make_tenant(store, "strange")
    elsewhere = await another_project(store, tenant)
    foreign = await remember(store, stranger.principal.team_id, stranger.project, "foreign")
    other = await remember(store, tenant.principal.team_id, elsewhere, "other project")
    own = await remember(store, tenant.principal.team_id, tenant.project, "own")
    asked = [name for one in (foreign, other, own) for name in (str(one.id), short_id(one.id))]
    assert set(titles(await recall.named(tenant.principal, asked))) == {"other project", "own"}
    limited = replace(tenant.principal, project_id=tenant.project.id)
    assert titles(await recall.named(limited, asked)) == ["own"]
    for principal, hidden in ((tenant.principal, foreign), (limited, other)):
        for name in (str(hidden.id), short_id(hidden.id)):
            assert await recall.search(principal, SearchRequest(name)) == []
            with pytest.raises(NotFound):
                await recall.timeline(principal, TimelineRequest(name))


async def test_a_key_that_may_not_read_reads_nothing(tenant: Tenant, recall: Observations) -> None:
    writer = replace(tenant.principal, scopes=frozenset())
    with pytest.raises(Forbidden):
        await recall.named(writer, ["00000000"])
    with pytest.raises(Forbidden):
        await recall.timeline(writer, TimelineRequest("00000000"))
