"""`/v1/usage`: what generation costs."""

from __future__ import annotations

import base64
import binascii
from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..domain.errors import Issue
from ..domain.ids import ProjectId
from ..domain.text import scrub
from ..domain.usage import Tokens, UsageFilter, UsageKey
from .exchange import Answer, Exchange
from .fields import Instant, instant
from .validation import invalid

_Cursor = Annotated[str, Meta(min_length=1, max_length=2000)]
_PageSize = Annotated[int, Meta(ge=1, le=1000)]


class UsageQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which usage to list."""

    project_id: UUID | UnsetType = UNSET
    since: Instant | UnsetType = UNSET
    until: Instant | UnsetType = UNSET
    cursor: _Cursor | UnsetType = UNSET
    limit: _PageSize = 200

    def to_domain(self) -> UsageFilter:
        """Make the filter; raises InvalidInput for a cursor that this server did not give."""
        return UsageFilter(
            project_id=None if self.project_id is UNSET else ProjectId(self.project_id),
            since=None if self.since is UNSET else instant(self.since),
            until=None if self.until is UNSET else instant(self.until),
            after=None if self.cursor is UNSET else _read_cursor(self.cursor),
            limit=self.limit,
        )


class Totals(Struct, rename="camel"):
    """The tokens of a number of calls."""

    calls: int
    input_tokens: int
    output_tokens: int


class UsageLine(Totals, rename="camel", kw_only=True):
    """What was spent on one day (of UTC), in one project and lane, with one model."""

    day: date
    project_id: UUID
    provider: str
    model: str
    lane: str


class UsagePage(Struct, rename="camel"):
    """Usage by day, newest first; `totals` are of all pages, `nextCursor` is null on the last one."""

    usage: list[UsageLine]
    totals: Totals
    next_cursor: str | None


async def list_all(exchange: Exchange, query: UsageQuery) -> Answer[UsagePage]:
    """List what generation has cost, by day, project, provider, model and lane."""
    found = await exchange.services.usage.list(exchange.principal, query.to_domain())
    next_cursor = _write_cursor(found.lines[-1][0]) if found.has_more else None
    lines = [_line(key, tokens) for key, tokens in found.lines]
    totals = Totals(found.totals.calls, found.totals.input_tokens, found.totals.output_tokens)
    return Answer(UsagePage(lines, totals, next_cursor))


def _line(key: UsageKey, tokens: Tokens) -> UsageLine:
    return UsageLine(
        tokens.calls,
        tokens.input_tokens,
        tokens.output_tokens,
        day=key.day,
        project_id=key.project_id,
        provider=key.provider,
        model=key.model,
        lane=key.lane,
    )


def _write_cursor(last: UsageKey) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(last)).decode()


def _read_cursor(cursor: str) -> UsageKey:
    try:
        raw = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        key = msgspec.json.decode(raw, type=UsageKey)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise invalid([Issue("$.cursor", "must be the nextCursor of the page before", "invalid_cursor")]) from None
    return UsageKey(key.day, key.project_id, scrub(key.provider), scrub(key.model), scrub(key.lane))
