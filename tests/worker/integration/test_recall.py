"""Observations by their ids, and what happened around one: in which order, named how."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.worker.parts import Chain, stop
from worker.domain.errors import InvalidInput, NotFound
from worker.domain.ids import ObservationId, ProjectId, SessionId, new_id, short_id
from worker.domain.jobs import SourceType
from worker.domain.observations import Draft, Observation
from worker.domain.records import SearchRequest, TimelineRequest
from worker.services.observations import Observations
from worker.storage import observations
from worker.storage.connection import Connection, connect
from worker.storage.database import Database
from worker.storage.statements import statement


class Memory:
    """A store with two projects, written to past generation."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.recall = Observations(chain.database)

    async def remember(
        self, title: str, second: int = 0, *, project: str = "git:example.test/dev/shop", id: UUID | None = None
    ) -> Observation:
        await self.chain.take(stop(), project=project)
        rows = self.chain.rows(
            "SELECT sessions.id, project_id FROM sessions JOIN projects ON projects.id = project_id WHERE key = ?",
            project,
        )
        [(session_id, project_id)] = rows
        observation_id = ObservationId(id or new_id())
        moment = self.chain.clock.now() + timedelta(seconds=second)

        def insert(connection: Connection) -> None:
            observations.insert(
                connection,
                observation_id,
                ProjectId(UUID(project_id)),
                SessionId(UUID(session_id)),
                SourceType.EVENT_BATCH,
                new_id(),
                Draft("discovery", title),
                happened_at=moment,
                now=moment,
            )

        await self.chain.database.write(insert)
        return await self.recall.get(observation_id)


@pytest.fixture
def memory(chain: Chain) -> Memory:
    return Memory(chain)


def titles(found: Sequence[Observation]) -> list[str]:
    return [one.draft.title for one in found]


async def test_neighbours_come_in_order_of_time_from_the_same_project(memory: Memory) -> None:
    made = [await memory.remember(f"at {second}", second) for second in (5, 1, 3, 4, 2)]
    await memory.remember("elsewhere", 3, project="git:example.test/dev/other")
    anchor, around = await memory.recall.timeline(TimelineRequest(str(made[2].id), before=1, after=5))
    assert anchor == made[2]
    assert titles(around) == ["at 2", "at 3", "at 4", "at 5"]
    _, alone = await memory.recall.timeline(TimelineRequest(short_id(made[2].id), before=0, after=0))
    assert titles(alone) == ["at 3"]


async def test_neighbours_of_one_moment_come_as_they_were_stored(memory: Memory) -> None:
    made = [await memory.remember(f"{number}") for number in range(5)]
    _, around = await memory.recall.timeline(TimelineRequest(str(made[2].id), before=1, after=1))
    assert around == made[1:4]


async def test_a_short_id_that_names_two_finds_both_and_anchors_nothing(memory: Memory) -> None:
    twins = [UUID("00000000-0000-7000-8000-0000aaaa9f3c"), UUID("00000001-0000-7000-8000-0000aaaa9f3c")]
    made = [await memory.remember(f"twin {index}", index, id=id) for index, id in enumerate(twins)]
    assert await memory.recall.named(["AAAA9F3C"]) == made
    assert await memory.recall.named([str(made[1].id), "aaaa9f3c", made[0].id.hex]) == made
    with pytest.raises(InvalidInput) as refused:
        await memory.recall.timeline(TimelineRequest("aaaa9f3c"))
    assert all(str(twin) in str(refused.value) for twin in twins)
    hits = await memory.recall.search(SearchRequest("aaaa9f3c"))
    assert titles([hit.observation for hit in hits]) == ["twin 0", "twin 1"]
    assert len(await memory.recall.search(SearchRequest("aaaa9f3c", limit=1))) == 1
    assert await memory.recall.search(SearchRequest("aaaa9f3c", offset=1)) == []


async def test_an_id_in_place_of_a_question_comes_before_what_quotes_it(memory: Memory) -> None:
    meant = await memory.remember("the one that is meant")
    short = short_id(meant.id)
    await memory.remember(f"reverts {short} and more", 1)
    hits = await memory.recall.search(SearchRequest(f" {short} "))
    assert titles([hit.observation for hit in hits]) == ["the one that is meant", f"reverts {short} and more"]
    elsewhere = await memory.remember("elsewhere", project="git:example.test/dev/other")
    assert await memory.recall.search(SearchRequest(short, project_id=ProjectId(elsewhere.project_id))) == []


async def test_what_is_not_there_is_absent(memory: Memory) -> None:
    assert await memory.recall.named(["00000000", str(new_id())]) == []
    with pytest.raises(NotFound):
        await memory.recall.timeline(TimelineRequest("00000000"))


@pytest.mark.parametrize(
    ("name", "index"),
    [("observations/named", "observations_short_id"), ("observations/around", "observations_recent")],
)
def test_an_index_answers_instead_of_a_scan(store: Database, path: Path, name: str, index: str) -> None:
    connection: sqlite3.Connection = connect(path, read_only=True)
    try:
        arguments = dict.fromkeys(("short_id", "limit", "project_id", "created_at", "sequence", "before", "after"), 0)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement(name)}", arguments).fetchall()
    finally:
        connection.close()
    details = "\n".join(row["detail"] for row in plan)
    assert index in details
    assert "SCAN observations" not in details
