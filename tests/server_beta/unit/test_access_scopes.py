"""The one table of scopes: its words, its aliases, and who may give what."""

from __future__ import annotations

import re

import pytest

from server_beta.domain.errors import Forbidden
from server_beta.domain.ids import TeamId, new_id
from server_beta.domain.principals import (
    ALIASES,
    CLIENT_SCOPES,
    LOCAL_SCOPES,
    MEANINGS,
    Principal,
    Scope,
    in_order,
    parse_scopes,
)


def _holder(*scopes: Scope) -> Principal:
    return Principal(TeamId(new_id()), None, None, frozenset(scopes))


def test_the_words_are_those_of_the_api() -> None:
    words = "events:write sessions:write observations:read observations:write jobs:read jobs:write projects:write"
    assert [str(scope) for scope in Scope] == [*words.split(), "keys:write", "admin"]
    assert set(MEANINGS) == set(Scope)


@pytest.mark.parametrize(
    ("words", "scopes"),
    [
        (["memories:read"], {"observations:read", "jobs:read"}),
        (["memories:write"], {"observations:write", "events:write", "sessions:write", "jobs:write"}),
        (["*"], set(map(str, Scope))),
        (["events:write", "memories:read"], {"events:write", "observations:read", "jobs:read"}),
        ([], set()),
    ],
)
def test_the_words_of_the_typescript_server_mean_what_they_open_there(words: list[str], scopes: set[str]) -> None:
    assert set(map(str, parse_scopes(words))) == scopes


@pytest.mark.parametrize("word", ["", "Admin", "events:*", "memories:admin", "admin "])
def test_any_other_word_is_refused_by_name(word: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(repr(word))} is not a valid"):
        parse_scopes(["events:write", word])


def test_scopes_are_shown_in_the_order_of_the_table() -> None:
    assert in_order({Scope.ADMIN, Scope.JOBS_READ, Scope.EVENTS_WRITE}) == ("events:write", "jobs:read", "admin")


def test_the_local_key_may_do_everything_but_administer() -> None:
    assert frozenset(Scope) - LOCAL_SCOPES == {Scope.ADMIN}
    assert CLIENT_SCOPES < LOCAL_SCOPES
    assert not CLIENT_SCOPES & {Scope.KEYS_WRITE, Scope.OBSERVATIONS_WRITE, Scope.JOBS_WRITE}
    assert all(set(meant) <= set(Scope) for meant in ALIASES.values())


def test_nobody_gives_what_they_do_not_hold() -> None:
    holder = _holder(Scope.KEYS_WRITE, Scope.JOBS_READ)
    holder.require_power_over([Scope.JOBS_READ])
    with pytest.raises(Forbidden, match=r"does not hold events:write, admin itself"):
        holder.require_power_over([Scope.ADMIN, Scope.JOBS_READ, Scope.EVENTS_WRITE])


@pytest.mark.parametrize("scope", list(Scope))
def test_an_administrator_holds_every_scope_and_others_only_their_own(scope: Scope) -> None:
    _holder(Scope.ADMIN).require(scope)
    _holder(scope).require(scope)
    for other in set(Scope) - {scope, Scope.ADMIN}:
        with pytest.raises(Forbidden):
            _holder(other).require(scope)
