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
    """Send the content of the file .worker.token as "Authorization: Bearer <token>" or "X-Api-Key: <token>"."""


class Forbidden(ClaudeMemError):
    """This token is not valid for this request."""


class NotFound(ClaudeMemError):
    """There is nothing here by that name."""


class PayloadTooLarge(ClaudeMemError):
    """The request body is larger than 5 MiB."""


class Unavailable(ClaudeMemError):
    """The database cannot be written or read at the moment; try again."""


class StartRefused(ClaudeMemError):
    """The worker cannot start."""


class InvalidSettings(StartRefused):
    """A setting has a value that cannot be used."""


class DatabaseUnusable(StartRefused):
    """The database file cannot be used."""


class SchemaRefused(StartRefused):
    """The database schema does not fit this version."""


class PortTaken(StartRefused):
    """Another process holds the port."""
