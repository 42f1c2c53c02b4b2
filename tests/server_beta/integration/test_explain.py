"""No statement reads a whole table: each is planned as it stands, on a store that is large enough for it to matter.

The arguments come from what each file says of its own: `$1 team id` is a team's id, and a value that the statement
compares with null is tried both ways.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

import server_beta.storage
from server_beta.storage.statements import statement
from tests.support.crowd import crowd
from tests.support.population import lasting_database
from tests.support.postgres import PostgresServer

_FOLDER = Path(server_beta.storage.__file__).parent / "queries"
_NAMES = sorted(str(path.relative_to(_FOLDER).with_suffix("")) for path in _FOLDER.rglob("*.sql"))

# What may read all of a table or index, and why.
_READS_ALL = {
    "purge/events": "one index of batches, instead of searching it for each of many events",
}
# Which index a statement is there for.
_BY_INDEX = {
    "events/turn_is_private": "agent_events_private",
    "events/uncovered_turns": "agent_events_uncovered",
    "health/today": "token_usage_since",
    "audit/list": "audit_log_team",
    "jobs/counts": "jobs_open",
    "jobs/list": "jobs_of_team",
    "jobs/rescue": "jobs_leased",
    "jobs/unpublished": "jobs_due",
    "observations/about_file": "observations_files",
    "observations/around": "observations_recent",
    "observations/list": "observations_of_team",
    "observations/named": "observations_short_id",
    "observations/search": "observations_search",
    "sessions/by_content_id": "sessions_content",
}
# What Postgres reckons for planning a statement once more (for one table, and in its own unit of cost).
_PLANNING = 5.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Ids of one job, its event, session and so on, all of one project."""

    team: UUID
    project: UUID
    session: UUID
    event: UUID
    job: UUID
    observation: UUID
    key: UUID

    def value(self, type_name: str, about: str) -> object:
        """Return a plausible argument of a type, from what is said about it."""
        if type_name.endswith("[]"):
            return [self.value(type_name[:-2], about)] * 3
        match type_name:
            case "uuid":
                words = re.findall(r"team|project|session|event|job|observation|key", about)
                return getattr(self, words[0]) if words else self.observation
            case "text" | "varchar":
                return self._text(about)
            case "int2" | "int4" | "int8":
                return 20
            case "bool":
                return True
            case "bytea":
                return b"k" * 32
            case "jsonb" | "json":
                return "{}"
            case "interval":
                return timedelta(minutes=10)
            case "timestamptz":
                return datetime.now(UTC) - timedelta(minutes=10)
            case "date":
                return date(2026, 1, 2)
            case _:
                raise AssertionError(f"a plausible {type_name} is missing here")

    def _text(self, about: str) -> str:
        known = {
            "source type": "agent_event",
            "status": "failed",
            "kind": "change",
            "turn": "turn-7",
            "platform": "claude-code",
            "question": "word7 zebra",
            "path": "src/file_7.py",
            "file": "src/file_7.py",
            "digits": "0" * 8,
            "key": "git:7",
            "name": "name 7",
            "snapshot": "1000:2000:",
            "transaction": "1000",
            "resource type": "job",
            "actor": "ada",
            "action": "looked",
        }
        return next((value for word, value in known.items() if word in about), "7")


@pytest.fixture(scope="module")
def crowded(postgres_server: PostgresServer) -> Iterator[str]:
    with lasting_database(postgres_server, crowd) as dsn:
        yield dsn


@pytest.fixture
async def connection(crowded: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    opened = await asyncpg.connect(crowded, server_settings={"jit": "off"})
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", _NAMES)
async def test_a_statement_reads_no_whole_table(connection: asyncpg.Connection[asyncpg.Record], name: str) -> None:
    large = {
        row["relname"]
        for row in await connection.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= 2000")
    }
    assert len(large) > 9
    leading = {
        row["relname"]: row["attname"]
        for row in await connection.fetch(
            "SELECT relname, attname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "JOIN pg_attribute ON attrelid = indexrelid AND attnum = 1"
        )
    }
    plans = await _plans(connection, name)
    for what, plan in plans.items():
        read = {
            node.get("Relation Name", node.get("Index Name"))
            for node in _read_whole(plan, leading)
            if node.get("Relation Name", "") in large
        }
        if not _is_chosen(what, plans):
            continue
        assert bool(read) <= (name in _READS_ALL), (name, what, read)
        if name in _BY_INDEX and what in ("with nothing optional", "for any arguments"):
            assert _BY_INDEX[name] in {node.get("Index Name") for node in _nodes(plan)}, what


def _is_chosen(what: str, plans: dict[str, dict[str, Any]]) -> bool:
    """Whether Postgres takes the plan: the one for any arguments only when it costs less than the ones before."""
    if what != "for any arguments":
        return True
    others = [float(plan["Total Cost"]) + _PLANNING for one, plan in plans.items() if one != what]
    return float(plans[what]["Total Cost"]) < max(others)


def test_exceptions_name_statements_that_are_there() -> None:
    assert (_READS_ALL.keys() | _BY_INDEX.keys()) - set(_NAMES) == set()


async def _plans(connection: asyncpg.Connection[asyncpg.Record], name: str) -> dict[str, dict[str, Any]]:
    """Plan a statement for all its arguments, for those alone that it needs, with each other one, and for any."""
    sql = statement(name)
    prepared = await connection.prepare(sql)
    types = [_type_name(parameter) for parameter in prepared.get_parameters()]
    sample = await _sample(connection)
    given = [sample.value(of, about) for of, about in zip(types, _abouts(sql, len(types)), strict=True)]
    optional = [at for at in range(len(types)) if re.search(rf"\${at + 1}\b(::[\w\[\]]+)? IS NULL", sql)]
    variants: dict[str, set[int]] = {"with everything": set(), "with nothing optional": set(optional)}
    variants |= {f"with ${at + 1} alone": set(optional) - {at} for at in optional}
    plans = {}
    for what, nulls in variants.items():
        arguments = [None if at in nulls else value for at, value in enumerate(given)]
        plans[what] = await _explain(connection, "EXPLAIN (FORMAT JSON) " + sql, *arguments)
    # What a connection turns to when it has run a prepared statement often enough.
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    await connection.execute("PREPARE one AS " + sql)
    nothing = f"({', '.join(['NULL'] * len(types))})" if types else ""
    plans["for any arguments"] = await _explain(connection, f"EXPLAIN (FORMAT JSON) EXECUTE one{nothing}")
    return plans


async def _explain(connection: asyncpg.Connection[asyncpg.Record], sql: str, *arguments: object) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(await connection.fetchval(sql, *arguments))[0]["Plan"]
    return plan


async def _sample(connection: asyncpg.Connection[asyncpg.Record]) -> Sample:
    row = await connection.fetchrow(
        "SELECT job.team_id, job.project_id, job.server_session_id, job.agent_event_id, job.id, observation_id, key.id "
        "FROM observation_generation_jobs AS job JOIN observation_sources AS source ON source.job_id = job.id "
        "JOIN api_keys AS key ON key.team_id = job.team_id ORDER BY job.id DESC, key.id OFFSET 300 LIMIT 1"
    )
    assert row is not None
    return Sample(*row)


def _type_name(parameter: asyncpg.Type) -> str:
    name = str(parameter.name)
    return f"{name[1:]}[]" if name.startswith("_") else name


def _abouts(sql: str, number: int) -> list[str]:
    """Return what the header says about each argument; of several that are explained together, the same."""
    header = " ".join(line.removeprefix("--").strip() for line in sql.splitlines() if line.startswith("--"))
    found = {int(one): about for one, about in re.findall(r"\$(\d+)([^$]*)", header)}
    abouts = []
    for at in range(1, number + 1):
        while at < number and found.get(at, "").strip(" ,") in ("", "and", "to"):
            at += 1
        abouts.append(found.get(at, ""))
    return abouts


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _read_whole(plan: dict[str, Any], leading: dict[str, str], is_limited: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the nodes that read a table, or an index, from one end to the other."""
    match plan["Node Type"]:
        case "Seq Scan":
            yield plan
        case "Index Scan" | "Index Only Scan" if not is_limited:
            if not re.search(rf"\b{leading[plan['Index Name']]}\b", plan.get("Index Cond", "")):
                yield plan
    for child in plan.get("Plans", ()):
        # Anything else, a sort above all, asks for every row before it gives one.
        passes = {"Limit": True, "Result": is_limited, "Subquery Scan": is_limited, "LockRows": is_limited}
        yield from _read_whole(child, leading, passes.get(plan["Node Type"], False))
