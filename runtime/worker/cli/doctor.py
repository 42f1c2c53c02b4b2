"""Find out what keeps the worker from working: the common checks, and SQLite."""

from __future__ import annotations

import argparse
import sqlite3

from ..domain.errors import InvalidSettings
from ..settings import Settings
from .checks import Check, common_checks, report
from .command import Context
from .output import Report


def doctor(context: Context, _options: argparse.Namespace) -> Report:
    """Check everything that can be checked without starting or changing anything."""
    try:
        settings = Settings.from_env(context.env)
    except InvalidSettings as error:
        return report(context.runtime, [Check("settings", "fail", str(error))])
    checks = [
        Check("settings", "ok", "every setting can be used"),
        *common_checks(context.runtime, context.folder, settings.host, settings.port),
        _sqlite(),
    ]
    return report(context.runtime, checks)


def _sqlite() -> Check:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
    except sqlite3.OperationalError:
        return Check("database", "fail", "the SQLite of this Python has no full-text search (FTS5); use another Python")
    finally:
        connection.close()
    return Check("database", "ok", f"SQLite {sqlite3.sqlite_version} with full-text search")
