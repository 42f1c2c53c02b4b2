"""One request id leads from the answer to the log, the audit, the job, and everything that became of the job."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.support.server import Server, running_server
from tests.support.waiting import eventually, eventually_sync

FOLLOWED = "Follow-me_7f3a"
_PLANTED = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'planted'; END $$;
CREATE TRIGGER planted BEFORE INSERT ON observations FOR EACH ROW EXECUTE FUNCTION refuse();
"""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def server(data_dir: Path, database: str) -> Iterator[Server]:
    with running_server(data_dir, CLAUDE_MEM_SERVER_DATABASE_URL=database) as running:
        yield running


@pytest.fixture
async def connection(server: Server, database: str) -> AsyncIterator[Connection]:
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


def log_lines(server: Server) -> list[dict[str, Any]]:
    lines = server.data_dir.joinpath("logs", "server-beta.log").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def lines_with(server: Server, request_id: str) -> list[dict[str, Any]]:
    return [line for line in log_lines(server) if line.get("request_id") == request_id]


def record(server: Server, project: str, number: int) -> str:
    """Record an event that calls for a job, and return the job's id."""
    event = {
        "projectId": project,
        "sourceType": "api",
        "eventType": "note",
        "occurredAtEpoch": number,
        "payload": {"text": "We decided to keep prices in cents."},
    }
    answer = server.ask("POST", "/v1/events", event, X_Request_Id=FOLLOWED)
    assert answer.status == 201
    return str(answer.body["generationJob"]["id"])


def said_of(server: Server, job: str) -> dict[str, str]:
    """Return what the log says of a job: each action with its request id."""
    return {line["action"]: line["request_id"] for line in log_lines(server) if line.get("job_id") == job}


async def test_one_id_is_found_everywhere(server: Server, connection: Connection) -> None:
    project = server.ask("POST", "/v1/projects", {"key": "git:example.org/ids", "name": "ids"}, X_Request_Id=FOLLOWED)
    project_id = project.body["project"]["id"]

    completed = record(server, project_id, 1)
    await eventually(lambda: "job_completed" in said_of(server, completed), within=10)
    of_job = await connection.fetchval(
        "SELECT request_id FROM observation_generation_jobs WHERE id = $1::uuid", completed
    )
    assert of_job == FOLLOWED
    audited = await connection.fetch("SELECT DISTINCT action FROM audit_log WHERE request_id = $1", FOLLOWED)
    assert {"project.created", "observation.generated"} <= {row["action"] for row in audited}

    await connection.execute(_PLANTED)
    failed = record(server, project_id, 2)
    await eventually(lambda: "generation_retry" in said_of(server, failed), within=10)
    await connection.execute(
        "UPDATE observation_generation_jobs SET max_attempts = attempts + 1, next_attempt_at = now() "
        "WHERE id = $1::uuid AND status = 'queued'",
        failed,
    )
    await eventually(lambda: "generation_failed" in said_of(server, failed), within=10)

    rescued = record(server, project_id, 3)
    await eventually(lambda: "generation_retry" in said_of(server, rescued), within=10)
    await connection.execute(
        "UPDATE observation_generation_jobs SET status = 'processing', locked_by = 'gone', "
        "locked_until = now() - interval '1 s' WHERE id = $1::uuid AND status = 'queued'",
        rescued,
    )
    await eventually(lambda: "job_rescued" in said_of(server, rescued), within=10)

    followed = {job: said_of(server, job) for job in (completed, failed, rescued)}
    assert {request_id for said in followed.values() for request_id in said.values()} == {FOLLOWED}
    assert "job_failed" in followed[failed]
    answered = [line for line in lines_with(server, FOLLOWED) if "route" in line]
    assert [line["route"] for line in answered] == ["/v1/projects", "/v1/events", "/v1/events", "/v1/events"]


def test_an_id_is_honoured_echoed_and_logged_when_it_has_the_form_of_one(server: Server) -> None:
    for given, honoured in (("a" * 64, True), ("a" * 65, False), ("-a", False), ("a b", False), ("", False)):
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/healthz", headers={"X-Request-Id": given})
        with urllib.request.urlopen(request) as answer:
            echoed = answer.headers["X-Request-Id"]
        assert echoed == given if honoured else re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", echoed)
        eventually_sync(partial(lines_with, server, echoed))
