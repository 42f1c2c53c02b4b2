"""Bring an external database to the schema of this version without starting the server."""

from __future__ import annotations

import argparse
import asyncio

from ..settings import Settings
from .command import Context
from .output import Report


def migrate(context: Context, _options: argparse.Namespace) -> Report:
    """Migrate the configured database; the embedded one is migrated by every start."""
    settings = Settings.from_env(context.env)
    if settings.database_url is None:
        return Report(
            "The embedded Postgres is migrated by every start; there is nothing to do.",
            {"status": "embedded", "runtime": context.runtime.name},
        )
    from ..storage import migrate as schema  # no other command needs the database

    version = asyncio.run(schema.migrate(settings.database_url))
    return Report(
        f"The database is at schema version {version}.",
        {"status": "migrated", "runtime": context.runtime.name, "schemaVersion": version},
    )
