"""The searches that spare the patterns most texts change nothing: what is found is what running all of them finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server_beta.domain.redaction import redact
from server_beta.domain.secret_forms import (
    REDACTED,
    RULES,
    TOKENS,
    Token,
    cut_assignments,
    cut_curl_passwords,
    cut_key_blocks,
)

from .replay import DATA
from .test_privacy import ASSIGNED, HARMLESS, LETTERS, SECRETS

_CORPUS = sorted(
    path for path in [*DATA.rglob("*.jsonl"), *DATA.rglob("*.json"), *DATA.rglob("*.md"), *DATA.parent.rglob("*.py")]
)
_GLUE = ["", " ", "\n", "\t", "=", ":", "://", "@", "-", "--", ".", "/", "'", '"', "\\", "]", "(", ";", "é", "\u2028"]
_WORDS = [
    "key",
    "token",
    "password",
    "Secret",
    "Authorization: ",
    "Bearer ",
    "curl",
    " -u ",
    "http://a:b@c",
    "cookie: ",
]
_BLOCKS = ["-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----"]
_FLAGS = ["deploy --api-key hunter22", "x --access-token hunter22", "Bearer\t" + LETTERS]
_PIECES = [*SECRETS, *_FLAGS, *(text for text, _ in ASSIGNED), *HARMLESS, *_GLUE * 8, *_WORDS, *_BLOCKS]


def _by_every_pattern(text: str) -> str:
    text = cut_key_blocks(text)
    for token in TOKENS:
        text = token.pattern.sub(token.replacement, text)
    text = cut_curl_passwords(text)
    for rule in RULES:
        text = rule.pattern.sub(rule.replacement, text)
    return cut_assignments(text)


@pytest.mark.parametrize("path", _CORPUS[::5], ids=lambda path: path.name)
def test_what_programmers_write_is_read_as_by_every_pattern(path: Path) -> None:
    text = path.read_text("utf-8")[:20_000]
    assert redact(text) == _by_every_pattern(text)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=10).map("".join))
def test_secrets_in_any_company_are_read_as_by_every_pattern(text: str) -> None:
    assert redact(text) == _by_every_pattern(text)


@pytest.mark.parametrize("text", [*SECRETS, *_FLAGS, *(text for text, _ in ASSIGNED), *HARMLESS])
def test_a_text_by_itself_is_read_as_by_every_pattern(text: str) -> None:
    assert redact(text) == _by_every_pattern(text)


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token.beginnings[0])
def test_every_form_of_a_token_is_found(token: Token) -> None:
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(st.from_regex(token.pattern, fullmatch=True, alphabet=st.characters(codec="ascii")))
    def is_found(secret: str) -> None:
        expected = token.pattern.sub(token.replacement, secret)
        if expected != secret:
            assert REDACTED in redact(f"it is {secret}")

    is_found()
