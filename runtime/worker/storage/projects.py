"""Projects, found by their key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..domain.ids import ProjectId, new_id
from ..domain.records import Project
from . import records
from .connection import Connection


def find_or_create(connection: Connection, key: str, name: str, now: datetime) -> Project:
    """Return the project of that key; a known one keeps its name."""
    connection.run("projects/insert", id=new_id(), key=key, name=name, now=now)
    found = by_key(connection, key)
    assert found is not None, "it was inserted in this transaction"
    return found


def by_key(connection: Connection, key: str) -> Project | None:
    """Return the project of that key."""
    row = connection.row("projects/by_key", key=key)
    return records.project(row) if row else None


def get(connection: Connection, project_id: ProjectId) -> Project | None:
    """Return the project of that id."""
    row = connection.row("projects/get", id=project_id)
    return records.project(row) if row else None


def listed(connection: Connection, key: str | None, name: str | None) -> Sequence[Project]:
    """Return all projects, or those of that key or name."""
    return [records.project(row) for row in connection.rows("projects/list", key=key, name=name)]
