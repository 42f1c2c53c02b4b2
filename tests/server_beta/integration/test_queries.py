"""Every SQL file fits the migrated schema, and returns what its reader expects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import asyncpg
import pytest

import server_beta.storage
from server_beta.domain.audit import AuditEntry
from server_beta.domain.jobs import JobChange, JobSource
from server_beta.domain.records import ApiKey, Event, Job, Project, Session, Team
from server_beta.domain.usage import UsageKey
from server_beta.storage.statements import statement

_FOLDER = Path(server_beta.storage.__file__).parent / "queries"
_NAMES = sorted(str(path.relative_to(_FOLDER).with_suffix("")) for path in _FOLDER.rglob("*.sql"))
_OBSERVATION = {
    *("id", "project_id", "team_id", "server_session_id", "kind", "title", "subtitle", "narrative", "facts"),
    *("concepts", "files_read", "files_modified", "metadata", "content", "created_at", "updated_at"),
}
_RECORDED = {"event_type", "payload", "metadata", "occurred_at"}
_CLAIM = {
    *("id", "team_id", "project_id", "server_session_id", "source_type", "source_id", "turn_key", "attempts"),
    *("max_attempts", "locked_until", "api_key_id", "request_id", "is_key_revoked"),
}
_TOKENS = {"calls", "input_tokens", "output_tokens"}
_HELD = {"held_ids", "held_types", "held_attempts"}
_MESSAGE = {"id", "project_id", "team_id", "source_type", "attempts", "request_id"}


def _names(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


# What each statement's reader takes from a row; a statement that returns one column needs no entry.
_RETURNED = {
    "audit/list": _names(AuditEntry),
    "changes/between": {"seq", "project_id", "kind", "subject_id"},
    "changes/now": {"snapshot", "at"},
    "events/by_ids": _names(Event),
    "events/get": _names(Event),
    "events/ingest": {"position", "event_id", "event_created_at", "created", "job_id", "job_source_type"},
    "events/last_prompt": {"prompt", "received_at", "prompts"},
    "events/of_session": _RECORDED,
    "events/of_turn": _RECORDED,
    "events/uncovered_turns": _MESSAGE,
    "health/probe": {"schema_version", "is_read_only"},
    "health/today": {"events", "tokens"},
    "jobs/by_ids": _names(Job),
    "jobs/claim": _CLAIM,
    "jobs/counts": {"source_type", "status", "jobs"},
    "jobs/get": _names(Job),
    "jobs/history": _names(JobChange),
    "jobs/list": _names(Job),
    "jobs/of_events": _names(Job),
    "jobs/owner": {"team_id", "project_id", "source_type"},
    "jobs/payloads": _names(JobSource),
    "jobs/queue_summary": _MESSAGE,
    "jobs/rescue": {"id", "status", "request_id"},
    "jobs/retry": _MESSAGE | {"stood"},
    "jobs/retry_or_fail": {"id", "status"},
    "jobs/summary_of_state": _names(Job),
    "jobs/unpublished": _MESSAGE,
    "keys/by_hash": _names(ApiKey),
    "keys/get": _names(ApiKey),
    "keys/insert": _names(ApiKey),
    "keys/list": _names(ApiKey),
    "keys/lock": _names(ApiKey),
    "keys/retire": _names(ApiKey),
    "keys/revoke": _names(ApiKey),
    "observations/about_file": _OBSERVATION,
    "observations/around": _OBSERVATION,
    "observations/by_ids": _OBSERVATION,
    "observations/get": _OBSERVATION,
    "observations/hold": _OBSERVATION,
    "observations/insert": _OBSERVATION,
    "observations/list": _OBSERVATION,
    "observations/named": _OBSERVATION,
    "observations/of_event": _OBSERVATION,
    "observations/recent": _OBSERVATION,
    "observations/search": _OBSERVATION | {"score", "snippet"},
    "observations/update": _OBSERVATION,
    "observations/upsert": _OBSERVATION,
    "purge/events": {"events", "jobs"} | _HELD,
    "purge/jobs": {"jobs"} | _HELD,
    "sessions/by_content_id": _names(Session),
    "sessions/by_ids": _names(Session),
    "sessions/end": _names(Session),
    "sessions/find_or_create": _names(Session),
    "sessions/get": _names(Session),
    "sessions/newest_of_client": _names(Session),
    "tenants/find_or_create_project": _names(Project),
    "tenants/project_by_id": _names(Project),
    "tenants/project_by_key": _names(Project),
    "tenants/projects": _names(Project),
    "tenants/teams": _names(Team),
    "usage/by_day": _names(UsageKey) | _TOKENS,
    "usage/totals": _TOKENS,
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
    if len(returned) > 1 or name in _RETURNED:
        assert set(returned) == _RETURNED[name]


def test_expectations_name_statements_that_are_there() -> None:
    assert set(_RETURNED) - set(_NAMES) == set()


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
