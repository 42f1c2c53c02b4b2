"""`/v1/keys`: the API keys of the caller's team. A key's text is told once, in the answer that makes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from ..domain import records
from ..domain.api_keys import DEFAULT_GRACE, LONGEST_GRACE, IssuedKey, KeyFilter, KeyStatus, NewKey, status_of
from ..domain.ids import ApiKeyId, ProjectId
from ..domain.principals import ALIASES, Scope, parse_scopes
from . import wire
from .cursors import read_cursor, write_cursor
from .exchange import Answer, Exchange
from .fields import Cursor, Epoch, Name, PageSize
from .instants import from_epoch_ms, to_epoch_ms

_WORDS = (*Scope, *ALIASES)
ScopeWord = Annotated[
    str,
    Meta(
        # For Python, `$` is also before a newline that comes last.
        pattern=f"^({'|'.join(_WORDS)})$(?!\\n)".replace("*", r"\*"),
        description=f"must be one of {', '.join(_WORDS)}",
    ),
]
Grace = Annotated[int, Meta(ge=0, le=int(LONGEST_GRACE.total_seconds()))]


class KeyBody(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """A key to make; without a project it sees what the caller sees, without an expiry it never ends by itself."""

    name: Name
    scopes: Annotated[list[ScopeWord], Meta(min_length=1, max_length=len(_WORDS))]
    project_id: UUID | None = None
    expires_at_epoch: Epoch | None = None

    def to_domain(self) -> NewKey:
        """Make the wish for a key."""
        return NewKey(
            name=self.name,
            scopes=parse_scopes(self.scopes),
            project_id=None if self.project_id is None else ProjectId(self.project_id),
            expires_at=None if self.expires_at_epoch is None else from_epoch_ms(self.expires_at_epoch),
        )


class KeysQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """Which keys to list."""

    project_id: UUID | UnsetType = UNSET
    status: KeyStatus | UnsetType = UNSET
    cursor: Cursor | UnsetType = UNSET
    limit: PageSize = 50

    def to_domain(self) -> KeyFilter:
        """Make the filter; raises InvalidInput for a cursor that this server did not give."""
        return KeyFilter(
            project_id=None if self.project_id is UNSET else ProjectId(self.project_id),
            status=None if self.status is UNSET else self.status,
            after=None if self.cursor is UNSET else read_cursor("keys", self.cursor),
            limit=self.limit,
        )


class RotateQuery(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """For how long the old key goes on beside the new one; 0 ends it at once."""

    grace_seconds: Grace = int(DEFAULT_GRACE.total_seconds())


class ApiKey(Struct, rename="camel"):
    """An API key, without its text."""

    id: UUID
    team_id: UUID
    project_id: UUID | None
    name: str
    scopes: tuple[str, ...]
    status: KeyStatus
    created_by: str
    rotated_from: UUID | None
    expires_at_epoch: int | None
    revoked_at_epoch: int | None
    last_used_at_epoch: int | None
    created_at_epoch: int


class NewApiKey(ApiKey, rename="camel", kw_only=True):
    """A new API key with its text, `key`, which nobody can read again."""

    key: str


class KeysPage(Struct, rename="camel"):
    """Keys, newest first; `nextCursor` is null on the last page."""

    keys: list[ApiKey]
    next_cursor: str | None


async def list_all(exchange: Exchange, query: KeysQuery) -> Answer[KeysPage]:
    """List the keys that the caller's key may govern, newest first."""
    found, has_more = await exchange.services.keys.list(exchange.principal, query.to_domain())
    next_cursor = write_cursor("keys", found[-1].created_at, found[-1].id) if has_more else None
    return Answer(KeysPage([api_key(key) for key in found], next_cursor))


async def create(exchange: Exchange, body: KeyBody) -> Answer[NewApiKey]:
    """Make a key with scopes that the caller holds; only this answer tells its text."""
    issued = await exchange.services.keys.create(exchange.principal, body.to_domain(), exchange.request_id)
    return Answer(new_api_key(issued), 201)


async def rotate(exchange: Exchange, id: UUID, query: RotateQuery) -> Answer[NewApiKey]:
    """Replace a key by a new one that may do the same; only this answer tells its text."""
    grace = timedelta(seconds=query.grace_seconds)
    issued = await exchange.services.keys.rotate(exchange.principal, ApiKeyId(id), grace, exchange.request_id)
    return Answer(new_api_key(issued), 201)


async def revoke(exchange: Exchange, id: UUID) -> Answer[ApiKey]:
    """Revoke a key; revoking it again answers the same."""
    revoked = await exchange.services.keys.revoke(exchange.principal, ApiKeyId(id), exchange.request_id)
    return Answer(api_key(revoked))


def api_key(value: records.ApiKey) -> ApiKey:
    """Write a key."""
    return ApiKey(
        id=value.id,
        team_id=value.team_id,
        project_id=value.project_id,
        name=value.name,
        scopes=value.scopes,
        status=status_of(value, datetime.now(UTC)),
        created_by=value.created_by,
        rotated_from=value.rotated_from,
        expires_at_epoch=wire.epoch_or_none(value.expires_at),
        revoked_at_epoch=wire.epoch_or_none(value.revoked_at),
        last_used_at_epoch=wire.epoch_or_none(value.last_used_at),
        created_at_epoch=to_epoch_ms(value.created_at),
    )


def new_api_key(issued: IssuedKey) -> NewApiKey:
    """Write a key with its text."""
    return NewApiKey(**asdict(api_key(issued.stored)), key=issued.text)
