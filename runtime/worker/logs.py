"""Logs: one JSON object a line on standard error, which `start` points at the log file."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def write_logs(level: str) -> None:
    """Send this package's logs, and the warnings of its libraries, to standard error; extras become members."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(__package__).setLevel(level.upper())


class _JsonLines(logging.Formatter):
    """Writes a message for people and fields for machines; of an error the name, for its text may quote payloads."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
        }
        fields.update((name, value) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD)
        if record.exc_info is not None and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__qualname__
            frames = traceback.extract_tb(record.exc_info[2])
            fields["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(fields, default=str)
