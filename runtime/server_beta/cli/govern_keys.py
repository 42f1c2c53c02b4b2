"""The verbs of `api-key`, on an open store. The text of a key goes to standard output and nowhere else."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import to_builtins

from ..domain.api_keys import KeyFilter, NewKey
from ..domain.principals import CLIENT_SCOPES, Principal, parse_scopes
from ..domain.records import Team
from ..domain.text import one_line
from ..http.keys import ApiKey, NewApiKey, api_key, new_api_key
from ..services.keys import Keys
from ..services.operator import Operator
from .output import Report

_PAGE = 200


async def create(keys: Keys, operator: Operator, options: argparse.Namespace) -> Report:
    """Make a key for a team, the local one where none is named."""
    principal = operator.acting_for(await _team(operator, options))
    new = NewKey(
        name=options.name,
        scopes=parse_scopes(options.scopes) if options.scopes else CLIENT_SCOPES,
        project_id=None if options.project is None else await operator.project(principal, options.project),
        expires_at=None if options.expires_in is None else keys.clock.now() + options.expires_in,
    )
    return _issued("is made", new_api_key(await keys.create(principal, new, None)))


async def list_all(keys: Keys, operator: Operator, options: argparse.Namespace) -> Report:
    """List the keys of every team, or of one."""
    teams = [await operator.team(options.team)] if options.team is not None else await operator.teams()
    found = [(key, team.name) for team in teams for key in await _of_team(keys, operator.acting_for(team))]
    lines = [
        f"{key.id}  {key.status:<7}  {one_line(key.name)}: {' '.join(key.scopes)} ({_reach(key, name)})"
        for key, name in found
    ]
    data = {"keys": [{**to_builtins(key), "teamName": name} for key, name in found]}
    return Report("\n".join(lines) or "There are no API keys yet.", data)


async def revoke(keys: Keys, operator: Operator, options: argparse.Namespace) -> Report:
    """Revoke a key of any team."""
    revoked = api_key(await keys.revoke(await operator.acting_on(options.id), options.id, None))
    return Report(f"The key {one_line(revoked.name)} ({revoked.id}) is revoked.", to_builtins(revoked))


async def rotate(keys: Keys, operator: Operator, options: argparse.Namespace) -> Report:
    """Replace a key of any team."""
    issued = await keys.rotate(await operator.acting_on(options.id), options.id, options.grace, None)
    seconds = int(options.grace.total_seconds())
    old = f"{options.id}, which goes on for {seconds} s" if seconds else f"{options.id}, which is revoked"
    return _issued(f"replaces {old}", new_api_key(issued))


VERBS: Mapping[str, Callable[[Keys, Operator, Any], Awaitable[Report]]] = {
    "create": create,
    "list": list_all,
    "revoke": revoke,
    "rotate": rotate,
}


async def _team(operator: Operator, options: argparse.Namespace) -> Team:
    if options.new_team is not None:
        return await operator.found_team(options.new_team)
    return await (operator.local_team() if options.team is None else operator.team(options.team))


async def _of_team(keys: Keys, principal: Principal) -> list[ApiKey]:
    listed: list[ApiKey] = []
    wanted = KeyFilter(limit=_PAGE)
    while True:
        page, has_more = await keys.list(principal, wanted)
        listed += map(api_key, page)
        if not has_more:
            return listed
        wanted = KeyFilter(limit=_PAGE, after=(page[-1].created_at, page[-1].id))


def _issued(what: str, made: NewApiKey) -> Report:
    about = f"The key {one_line(made.name)} ({made.id}) {what}; it may {' '.join(made.scopes)} ({_reach(made)})."
    return Report(f"{about}\nThis is the only time that it is shown:\n{made.key}", to_builtins(made))


def _reach(key: ApiKey, team_name: str | None = None) -> str:
    team = f"team {key.team_id}" if team_name is None else f"team {one_line(team_name)}, {key.team_id}"
    reach = team if key.project_id is None else f"project {key.project_id} of {team}"
    if key.expires_at_epoch is None:
        return reach
    return f"{reach}, until {datetime.fromtimestamp(key.expires_at_epoch / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
