"""One team's rows in every table, in every state that a row may have: what an upgrade or a deletion must cope with."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from .postgres import PostgresServer

Row = tuple[str, dict[str, object]]

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PROJECTS = ("project", "sibling")
_NAMESPACE = uuid.UUID("0b0f2f7e-3d53-4b4f-9a5e-0d1c2b3a4f5e")


@dataclass(frozen=True, slots=True)
class Population:
    """The rows of one team: two projects, alike, and what belongs to the team alone."""

    name: str

    @property
    def team_id(self) -> UUID:
        """The team's id."""
        return self.id("team")

    @property
    def project_id(self) -> UUID:
        """The id of its first project."""
        return self.id("project")

    @property
    def sibling_id(self) -> UUID:
        """The id of its other project."""
        return self.id("sibling")

    def id(self, of: str, project: str = "") -> UUID:
        """Return the id of a row by what it is called here."""
        return uuid.uuid5(_NAMESPACE, f"{self.name}/{project}/{of}")

    def key_hash(self, of: str) -> bytes:
        """Return what stands for an API key's hash."""
        return self.id(of).bytes * 2

    def rows(self) -> Iterator[Row]:
        """Yield every row, parents first."""
        yield "teams", {"id": self.team_id, "name": self.name}
        yield "team_members", {"team_id": self.team_id, "member": "ada", "role": "owner"}
        yield "api_keys", {**self._key("team-key", None), "installation_id": self.id("installation")}
        yield "api_keys", self._key("old-key", None)
        yield "audit_log", self._audit("team-audit", None)
        for project in PROJECTS:
            yield from self._project(project)

    def _project(self, project: str) -> Iterator[Row]:
        yield "projects", {"id": self.id(project), "team_id": self.team_id, "key": f"git:{project}", "name": project}
        yield "api_keys", self._key(f"{project}-key", self.id(project))
        yield "audit_log", self._audit(f"{project}-audit", self.id(project))
        session = {
            **self._scope("session", project),
            "external_session_id": "external",
            "content_session_id": "content",
            "platform_source": "claude-code",
            "context_owed": True,
        }
        yield "server_sessions", session
        for name, session_id in (("prompt", True), ("stop", True), ("loose", False), ("lost", False)):
            yield "agent_events", self._event(name, project, self.id("session", project) if session_id else None)
        for observation, session_id in (("fix", True), ("note", False)):
            yield (
                "observations",
                self._observation(observation, project, self.id("session", project) if session_id else None),
            )
        yield from self._jobs(project)
        yield from self._sources(project)
        for usage, job_id in (("usage", self.id("completed", project)), ("unmade", None)):
            yield (
                "token_usage",
                {
                    **self._scope(usage, project),
                    **{"job_id": job_id, "provider": "p", "model": "m", "lane": "event", "input_tokens": 1},
                    "output_tokens": 2,
                },
            )

    def _jobs(self, project: str) -> Iterator[Row]:
        session_id, prompt = self.id("session", project), self.id("prompt", project)
        stop, loose, lost = self.id("stop", project), self.id("loose", project), self.id("lost", project)
        jobs: dict[str, dict[str, object]] = {
            "queued": {"source_type": "agent_event", "source_id": prompt, "agent_event_id": prompt},
            "processing": {
                **{"source_type": "event_batch", "source_id": stop, "turn_key": "turn-1", "attempts": 1},
                **{"server_session_id": session_id, "locked_by": "somebody", "locked_until": NOON},
            },
            "completed": {
                **{"source_type": "session_summary", "source_id": self.id("processing", project)},
                **{"server_session_id": session_id, "completed_at": NOON},
            },
            "failed": {
                **{"source_type": "agent_event", "source_id": loose, "agent_event_id": loose, "failed_at": NOON},
                "api_key_id": self.id(f"{project}-key"),
            },
            "cancelled": {
                **{"source_type": "observation_reindex", "source_id": self.id(project), "cancelled_at": NOON},
                "api_key_id": self.id("team-key"),
            },
            # Due at once and silent for long: what the sweeps look for.
            "waiting": {"source_type": "agent_event", "source_id": lost, "agent_event_id": lost},
        }
        for name, job in jobs.items():
            status = "queued" if name == "waiting" else name
            yield (
                "observation_generation_jobs",
                {**self._scope(name, project), "status": status, "next_attempt_at": NOON, **job},
            )
            yield (
                "observation_generation_job_events",
                {
                    **{"job_id": self.id(name, project), "project_id": self.id(project), "team_id": self.team_id},
                    **{"event": "queued", "attempt": 0},
                },
            )

    def _sources(self, project: str) -> Iterator[Row]:
        fix, note = self.id("fix", project), self.id("note", project)
        session_id, prompt = self.id("session", project), self.id("prompt", project)
        sources: tuple[dict[str, object], ...] = (
            {"observation_id": fix, "source_type": "agent_event", "source_id": prompt, "agent_event_id": prompt},
            {
                **{"observation_id": fix, "source_type": "event_batch", "source_id": self.id("turn", project)},
                **{"server_session_id": session_id, "job_id": self.id("processing", project)},
            },
            {
                **{"observation_id": fix, "source_type": "session_summary", "source_id": session_id},
                **{"server_session_id": session_id, "job_id": self.id("completed", project)},
            },
            {"observation_id": note, "source_type": "manual", "source_id": note},
        )
        for source in sources:
            yield "observation_sources", {"project_id": self.id(project), "team_id": self.team_id, **source}

    def _scope(self, name: str, project: str) -> dict[str, object]:
        return {"id": self.id(name, project), "project_id": self.id(project), "team_id": self.team_id}

    def _key(self, name: str, project_id: UUID | None) -> dict[str, object]:
        return {
            **{"id": self.id(name), "team_id": self.team_id, "project_id": project_id, "name": name},
            **{"key_hash": self.key_hash(name), "scopes": ["admin"], "created_by": "ada"},
            "rotated_from": self.id("team-key") if name == "project-key" else None,
        }

    def _audit(self, name: str, project_id: UUID | None) -> dict[str, object]:
        return {
            **{"id": self.id(name), "team_id": self.team_id, "project_id": project_id, "actor": "ada"},
            **{"action": "looked", "resource_type": "project", "resource_id": str(project_id)},
        }

    def _event(self, name: str, project: str, session_id: UUID | None) -> dict[str, object]:
        return {
            **self._scope(name, project),
            **{"server_session_id": session_id, "source_type": "hook", "source_adapter": "claude-code"},
            **{"event_type": "Stop" if name == "stop" else "UserPromptSubmit", "platform_source": "claude-code"},
            **{"turn_key": "turn-1", "payload": '{"prompt": "why?"}', "idempotency_key": name},
            **{"occurred_at": NOON, "received_at": NOON},
        }

    def _observation(self, name: str, project: str, session_id: UUID | None) -> dict[str, object]:
        return {
            **self._scope(name, project),
            **{"server_session_id": session_id, "kind": "bugfix", "title": name, "content": name},
            **{"generation_key": name if session_id else None, "files_modified": ["a.py"]},
        }


async def populate(connection: asyncpg.Connection[asyncpg.Record], population: Population) -> None:
    """Insert a team's rows: into a schema of an earlier version, what that one has room for."""
    columns = await _columns(connection)
    for table, row in population.rows():
        known = {name: value for name, value in row.items() if name in columns.get(table, ())}
        if known:
            places = ", ".join(f"${number}" for number in range(1, len(known) + 1))
            await connection.execute(f"INSERT INTO {table} ({', '.join(known)}) VALUES ({places})", *known.values())


@contextlib.contextmanager
def lasting_database(server: PostgresServer, fill: Callable[[str], Coroutine[None, None, None]]) -> Iterator[str]:
    """Give the DSN of a database with the schema and what `fill` puts into it, for as many tests as only look at it."""
    with asyncio.Runner() as runner:
        made = server.database()
        dsn = runner.run(made.__aenter__())
        try:
            runner.run(fill(dsn))
            yield dsn
        finally:
            runner.run(made.__aexit__(None, None, None))


async def tables(connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
    """Return the name of every table that holds somebody's rows."""
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
        "AND relname <> 'schema_migrations' ORDER BY relname"
    )
    return [row["relname"] for row in rows]


async def snapshot(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, list[str]]:
    """Return every row of every table as text."""
    return {
        table: [row[0] for row in await connection.fetch(f"SELECT r::text FROM {table} AS r ORDER BY 1")]
        for table in await tables(connection)
    }


async def _columns(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in await connection.fetch(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'public' AND is_generated = 'NEVER' AND is_identity = 'NO'"
    ):
        found.setdefault(row["table_name"], set()).add(row["column_name"])
    return found
