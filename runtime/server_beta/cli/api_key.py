"""The command `api-key`: its arguments, and the way to the store that the server reads."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from ..domain.api_keys import DEFAULT_GRACE, LONGEST_GRACE
from ..domain.ports import SystemClock
from ..domain.principals import ALIASES, CLIENT_SCOPES, MEANINGS, in_order, parse_scopes
from .command import Command, Context
from .output import Report

if TYPE_CHECKING:
    from ..storage.database import Database

_LONGEST_NAME = 256
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LONGEST_LIFE_DAYS = 36_500


def api_key_command() -> Command:
    """Describe the command."""
    return Command("api-key", "make, list, revoke and rotate API keys", _answer, _arguments)


def _answer(context: Context, options: argparse.Namespace) -> Report:
    # The services bring the web server and the database driver, which no other command should wait for.
    from ..services.keys import Keys
    from ..services.local_key import LocalKey
    from ..services.operator import Operator
    from .govern_keys import VERBS
    from .store import run_on_store

    async def work(database: Database) -> Report:
        keys = Keys(database, SystemClock(), LocalKey(context.folder.root))
        return await VERBS[options.verb](keys, Operator(database), options)

    return run_on_store(context, work)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog, parser.formatter_class = _scopes_help(), argparse.RawDescriptionHelpFormatter
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", required=True)
    create = _verb(verbs, "create", "make a key and print it, the only time that it is shown")
    create.add_argument("--name", required=True, type=_name, help="what the key is for")
    create.add_argument(
        "--scopes",
        "--scope",
        action="extend",
        type=_scopes,
        metavar="A,B",
        help=f"what it may do ({','.join(in_order(CLIENT_SCOPES))})",
    )
    team = create.add_mutually_exclusive_group()
    team.add_argument("--team", type=_name, metavar="TEAM", help="whose key it is, by id or name (the local team)")
    team.add_argument("--new-team", type=_name, metavar="NAME", help="make a team for it")
    create.add_argument("--project", metavar="ID", help="the one project that it sees, by id or key (all of the team)")
    create.add_argument("--expires-in", type=_lifetime, metavar="90d", help="when it ends: a number and s, m, h or d")
    listed = _verb(verbs, "list", "list the keys; a key itself cannot be read again")
    listed.add_argument("--team", type=_name, metavar="TEAM", help="only the keys of this team, by id or name (all)")
    revoke = _verb(verbs, "revoke", "end a key at once")
    revoke.add_argument("id", type=_id, metavar="ID", help="the key's id")
    rotate = _verb(verbs, "rotate", "make a new key that may do what an old one may, and end the old one")
    rotate.add_argument("id", type=_id, metavar="ID", help="the old key's id")
    rotate.add_argument(
        "--grace",
        type=_grace,
        default=DEFAULT_GRACE,
        metavar="SECONDS",
        help=f"for how long the old key goes on ({int(DEFAULT_GRACE.total_seconds())}); 0 ends it at once",
    )


def _verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        name, help=help, description=help, epilog=_scopes_help(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    # The value given before the verb must survive when it is not given again after it.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="answer with one JSON object")
    return parser


def _scopes_help() -> str:
    scopes = [f"  {scope:<20}{meaning}" for scope, meaning in MEANINGS.items()]
    aliases = [f"  {alias:<20}{' '.join(in_order(meant))}" for alias, meant in ALIASES.items()]
    return "\n".join(["scopes:", *scopes, "other words for them:", *aliases])


def _scopes(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        return list(in_order(parse_scopes(words)))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not known; there are {', '.join([*MEANINGS, *ALIASES])}"
        ) from None


def _name(text: str) -> str:
    if not 0 < len(text.strip()) <= _LONGEST_NAME:
        raise argparse.ArgumentTypeError(f"a name of 1 to {_LONGEST_NAME} characters is wanted")
    return text.strip()


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no id") from None


def _grace(text: str) -> timedelta:
    most = int(LONGEST_GRACE.total_seconds())
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise argparse.ArgumentTypeError(f"a whole number of seconds up to {most} is wanted")
    return timedelta(seconds=int(text))


def _lifetime(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    life = int(found[1]) * _UNITS[found[2]] if found else timedelta()
    if not timedelta() < life <= timedelta(days=_LONGEST_LIFE_DAYS):
        raise argparse.ArgumentTypeError(f"a number and s, m, h or d is wanted, up to {_LONGEST_LIFE_DAYS}d")
    return life
