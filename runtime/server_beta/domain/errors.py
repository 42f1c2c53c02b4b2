"""One error root; a class for each decision that a caller can take. The docstring is the default message."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass


class ClaudeMemError(Exception):
    """claude-mem could not do this."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)) or "")


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with an input: where (`$.a[0].b`), what, and a word for machines."""

    path: str
    message: str
    code: str


class InvalidInput(ClaudeMemError):
    """The request is not valid."""

    def __init__(self, message: str | None = None, issues: Sequence[Issue] = ()) -> None:
        super().__init__(message)
        self.issues = tuple(issues)


class Unauthorized(ClaudeMemError):
    """Send an API key as "Authorization: Bearer <key>" or "X-Api-Key: <key>"."""


class Forbidden(ClaudeMemError):
    """This API key is not valid for this request."""


class NotFound(ClaudeMemError):
    """There is nothing here that this key can see."""


class Conflict(ClaudeMemError):
    """The state of the object does not allow this."""


class PayloadTooLarge(ClaudeMemError):
    """The request body is larger than 5 MiB."""


class TooManyRequests(ClaudeMemError):
    """Too many requests; wait and try again."""

    def __init__(self, message: str | None = None, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(ClaudeMemError):
    """The database does not answer at the moment; try again."""


class StartRefused(ClaudeMemError):
    """The server cannot start."""


class InvalidSettings(StartRefused):
    """A setting has a value that cannot be used."""


class EngineFailed(StartRefused):
    """The embedded Postgres did not start."""


class DatabaseUnreachable(StartRefused):
    """The configured database does not answer; check CLAUDE_MEM_SERVER_DATABASE_URL."""


class QueueUnreachable(StartRefused):
    """The configured Redis does not answer; check CLAUDE_MEM_REDIS_URL."""


class SchemaRefused(StartRefused):
    """The database schema does not fit this version."""


class PortTaken(StartRefused):
    """Another process holds the port."""
