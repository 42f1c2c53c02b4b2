"""Tenants with rows of every kind. Every text of a tenant holds its canary, so that a leak sings wherever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg

from server_beta.domain.api_keys import hash_key, new_key
from server_beta.domain.principals import LOCAL_SCOPES, Scope

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
# Not due while the tests run, so that no loop of the server touches it.
LATER = datetime(2999, 1, 1, tzinfo=UTC)
READING = frozenset({Scope.OBSERVATIONS_READ, Scope.JOBS_READ})


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: what it is called here, its text, and what it may do."""

    name: str
    text: str
    scopes: frozenset[Scope]
    project_id: UUID | None

    def holds(self, scope: Scope) -> bool:
        """Whether the key may do what the scope allows."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


@dataclass(frozen=True, slots=True)
class Home:
    """One project, one object of each kind in it, and the text that is in all of them."""

    canary: str
    ids: Mapping[str, UUID]
    keys: Mapping[str, Key]


async def make_team(connection: Connection, *projects: str) -> list[Home]:
    """Make a team with these projects, each with keys of four kinds."""
    team_id = uuid4()
    await _insert(connection, "teams", {"id": team_id, "name": f"team of canary-{projects[0]}-{team_id.hex}"})
    return [await _make_home(connection, team_id, name) for name in projects]


async def _make_home(connection: Connection, team_id: UUID, name: str) -> Home:
    ids = {noun: uuid4() for noun in ("project", "session", "event", "job", "observation")}
    canary = f"canary-{name}-{uuid4().hex}"
    ids["team"] = team_id
    await _insert(
        connection,
        "projects",
        {"id": ids["project"], "team_id": team_id, "key": f"git:{canary}", "name": canary},
    )
    keys = {
        kind: await _make_key(connection, team_id, ids["project"] if is_bound else None, f"{kind} {canary}", scopes)
        for kind, is_bound, scopes in (
            ("team", False, LOCAL_SCOPES),
            ("project", True, LOCAL_SCOPES),
            ("reader", False, READING),
            ("admin", False, frozenset({Scope.ADMIN})),
        )
    }
    # The key that may be revoked, of nobody who asks here.
    ids["key"] = await _key_id(connection, await _make_key(connection, team_id, ids["project"], canary, READING))
    scope = {"project_id": ids["project"], "team_id": team_id}
    for table, row in _rows(ids, canary):
        await _insert(connection, table, {**scope, **row})
    return Home(canary, ids, keys)


def _rows(ids: Mapping[str, UUID], canary: str) -> list[tuple[str, dict[str, object]]]:
    noted = f'{{"note": "{canary}"}}'
    session: dict[str, object] = {
        **{"id": ids["session"], "external_session_id": canary, "content_session_id": canary, "agent_id": canary},
        **{"agent_type": canary, "platform_source": canary[:64], "project_root": f"/{canary}", "metadata": noted},
    }
    event: dict[str, object] = {
        **{"id": ids["event"], "server_session_id": ids["session"], "content_session_id": canary},
        **{"source_type": "api", "source_adapter": canary, "source_event_id": canary, "event_type": canary},
        **{"platform_source": canary[:64], "payload": noted, "metadata": noted, "idempotency_key": canary},
        **{"occurred_at": NOON, "received_at": NOON},
    }
    of_event = {
        "id": ids["job"],
        "source_type": "agent_event",
        "source_id": ids["event"],
        "agent_event_id": ids["event"],
    }
    jobs: list[dict[str, object]] = [
        {
            **job,
            "server_session_id": ids["session"],
            "last_error": canary,
            "request_id": canary,
            "next_attempt_at": LATER,
        }
        for job in (of_event, {"id": uuid4(), "source_type": "session_summary", "source_id": uuid4()})
    ]
    observations = [
        {
            **{"id": row_id, "server_session_id": ids["session"], "kind": canary[:64], "title": canary},
            **{"subtitle": canary, "narrative": canary, "facts": [canary], "concepts": [canary]},
            **{"files_read": [canary], "files_modified": [canary], "metadata": noted, "content": canary},
            **{"generation_key": f"{row_id} {canary}"},
        }
        for row_id in (ids["observation"], uuid4())
    ]
    return [
        ("server_sessions", session),
        ("agent_events", event),
        *(("observation_generation_jobs", job) for job in jobs),
        (
            "observation_generation_job_events",
            {"job_id": ids["job"], "event": "queued", "attempt": 0, "detail": canary},
        ),
        *(("observations", row) for row in observations),
        (
            "observation_sources",
            {
                **{"observation_id": ids["observation"], "source_type": "agent_event", "source_id": ids["event"]},
                **{"job_id": ids["job"], "agent_event_id": ids["event"]},
            },
        ),
        *(
            (
                "token_usage",
                {
                    **{"id": uuid4(), "job_id": ids["job"], "provider": canary, "model": model, "lane": canary},
                    **{"input_tokens": 1, "output_tokens": 2},
                },
            )
            for model in (canary, f"other {canary}")
        ),
        *(
            (
                "audit_log",
                {
                    **{"id": uuid4(), "actor": canary, "action": action, "resource_type": canary},
                    **{"resource_id": canary, "request_id": canary},
                },
            )
            for action in (canary, f"other {canary}")
        ),
    ]


async def _make_key(
    connection: Connection, team_id: UUID, project_id: UUID | None, name: str, scopes: frozenset[Scope]
) -> Key:
    text = new_key()
    row = {
        **{"id": uuid4(), "team_id": team_id, "project_id": project_id, "name": name, "key_hash": hash_key(text)},
        **{"scopes": sorted(scopes), "created_by": name},
    }
    await _insert(connection, "api_keys", row)
    return Key(name.partition(" ")[0], text, scopes, project_id)


async def _key_id(connection: Connection, key: Key) -> UUID:
    found = await connection.fetchval("SELECT id FROM api_keys WHERE key_hash = $1", hash_key(key.text))
    assert isinstance(found, UUID)
    return found


async def _insert(connection: Connection, table: str, row: Mapping[str, object]) -> None:
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())
