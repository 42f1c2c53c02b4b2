"""Every SQL file fits the migrated schema, and returns what its reader expects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import asyncpg
import pytest

import server_beta.storage
from server_beta.domain.records import ApiKey, Event, Job, Project, Session
from server_beta.storage.statements import statement

_FOLDER = Path(server_beta.storage.__file__).parent / "queries"
_NAMES = sorted(str(path.relative_to(_FOLDER).with_suffix("")) for path in _FOLDER.rglob("*.sql"))
_OBSERVATION = {
    *("id", "project_id", "team_id", "server_session_id", "kind", "title", "subtitle", "narrative", "facts"),
    *("concepts", "files_read", "files_modified", "metadata", "created_at", "updated_at"),
}
_MESSAGE = {"id", "project_id", "team_id", "source_type", "attempts", "request_id"}


def _names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


_RETURNED = {
    "tenants/find_or_create_project": _names(Project),
    "tenants/project_by_id": _names(Project),
    "tenants/project_by_key": _names(Project),
    "tenants/projects": _names(Project),
    "keys/by_hash": _names(ApiKey),
    "keys/insert": _names(ApiKey),
    "sessions/by_content_id": _names(Session),
    "sessions/end": _names(Session),
    "sessions/find_or_create": _names(Session),
    "sessions/get": _names(Session),
    "events/by_ids": _names(Event),
    "events/get": _names(Event),
    "events/uncovered_turns": _MESSAGE,
    "jobs/by_source": _names(Job),
    "jobs/get": _names(Job),
    "jobs/of_events": _names(Job),
    "jobs/queue_summary": _MESSAGE,
    "jobs/unpublished": _MESSAGE,
    "observations/about_file": _OBSERVATION,
    "observations/around": _OBSERVATION,
    "observations/get": _OBSERVATION,
    "observations/list": _OBSERVATION,
    "observations/named": _OBSERVATION,
    "observations/of_event": _OBSERVATION,
    "observations/recent": _OBSERVATION,
    "observations/search": _OBSERVATION | {"score", "snippet"},
    "observations/upsert": _OBSERVATION,
}


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


@pytest.mark.parametrize("name", _NAMES)
async def test_a_statement_prepares(connection: asyncpg.Connection[asyncpg.Record], name: str) -> None:
    prepared = await connection.prepare(statement(name))
    returned = [attribute.name for attribute in prepared.get_attributes()]
    assert len(returned) == len(set(returned))
    if name in _RETURNED:
        assert set(returned) == _RETURNED[name]


@pytest.mark.parametrize("name", _NAMES)
def test_a_statement_says_what_its_arguments_are(name: str) -> None:
    text = statement(name)
    head = "".join(line for line in text.splitlines() if line.startswith("--"))
    assert head, "begins with a comment"
    number = 1
    while f"${number}" in text:
        assert f"${number}" in head or "o arguments" in head, f"${number} is explained"
        number += 1
    body = "\n".join(line for line in text.splitlines() if not line.strip().startswith("--"))
    assert "SELECT *\n" not in body.replace("SELECT *\n    FROM unnest", "").replace("SELECT * FROM unnest", "")


@pytest.mark.parametrize(
    "name", [name for name in _NAMES if statement(name).count("UPDATE ") or "DELETE " in statement(name)]
)
def test_a_change_is_scoped_to_its_tenant(name: str) -> None:
    sweeps_every_tenant = {"jobs/rescue", "keys/touch"}
    text = statement(name)
    if "ON CONFLICT" in text and not text.lstrip("-").count("\nUPDATE ") and "DELETE FROM" not in text:
        return
    if name not in sweeps_every_tenant:
        assert "team_id =" in text.replace("job.team_id =", "team_id =")
