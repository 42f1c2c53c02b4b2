"""Logs: one JSON object a line on standard error, which `start` points at the log file."""

from __future__ import annotations

import json
import logging
import sys

import structlog


def write_logs(level: str) -> None:
    """Configure structlog and the libraries' own logging; a message for people, fields for machines."""
    number = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithoutQuotes())
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler])
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


class _WithoutQuotes(logging.Formatter):
    """Writes of a library's record who spoke and which error it was about: its texts may quote a payload or a key."""

    def format(self, record: logging.LogRecord) -> str:
        kind = record.exc_info[0] if record.exc_info else None
        written = {"library": record.name, "level": record.levelname.lower(), "error": kind.__name__ if kind else None}
        return json.dumps(written)
