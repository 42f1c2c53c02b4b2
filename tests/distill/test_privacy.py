"""Private text and secrets never reach what is stored; ordinary work does, unharmed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

import pytest

from tests.distill.replay import Distillery

CANARY = "canary-7f3a"

# Each with what must be left of it.
TAGGED = [
    ("<private>canary-7f3a</private>", ""),
    ("a <private>canary-7f3a</private> b", "a  b"),
    ("a <PRIVATE>canary-7f3a</Private> b", "a  b"),
    ('a <private reason="x">canary-7f3a</private > b', "a  b"),
    ("a <private\n>canary-7f3a</private\n> b", "a  b"),
    ("a < private >canary-7f3a</ private > b", "a  b"),
    ("a <private>x<private>canary-7f3a</private>canary-7f3a</private> b", "a  b"),
    ("a <private>canary-7f3a", "a "),
    ("a <private>x</private> b <private>canary-7f3a", "a  b "),
    ("a <private/>canary-7f3a</private> b", "a  b"),
    ("a <private>x<system-reminder>y</private>canary-7f3a</system-reminder> b", "a  b"),
    ("a <system-reminder>canary-7f3a</system-reminder> b", "a  b"),
    ("a <claude-mem-context>canary-7f3a</claude-mem-context> b", "a  b"),
    ("a <system_instruction>canary-7f3a</system_instruction> b", "a  b"),
    ("a <system-instruction>canary-7f3a</system-instruction> b", "a  b"),
    ("a <persisted-output>canary-7f3a</persisted-output> b", "a  b"),
    ("a </private> b", "a  b"),
    ("a <private>canary-7f3a</private></private> b", "a  b"),
]
NOT_TAGGED = [
    "if a < private and b > c: pass",
    "<privateer>kept</privateer>",
    "<div class='private'>kept</div>",
    "std::vector<int> private_members;",
    "x <y> z",
    "",
]


@pytest.mark.parametrize(("text", "left"), TAGGED)
def test_a_tag_is_cut_with_its_content(distillery: Distillery, text: str, left: str) -> None:
    assert distillery.privacy.protect_text(text) == left


@pytest.mark.parametrize("text", NOT_TAGGED)
def test_what_is_no_tag_stays(distillery: Distillery, text: str) -> None:
    assert distillery.privacy.protect_text(text) == text


def test_every_string_and_key_of_a_payload_is_protected(distillery: Distillery) -> None:
    payload = {
        "prompt": f"see <private>{CANARY}</private>",
        f"<private>{CANARY}</private>key": 1,
        "deep": [{"list": [f"<private>{CANARY}", {"x": (f"<persisted-output>{CANARY}",)}]}],
    }
    assert CANARY not in json.dumps(distillery.privacy.protect(payload))


def test_nul_and_lone_surrogates_become_storable(distillery: Distillery) -> None:
    value = {"a\x00": "b\x00\ud800c\udfff", "n": [1, 2.5, True, None]}
    protected = distillery.privacy.protect(value)
    assert protected == {"a\ufffd": "b\ufffd\ufffdc\ufffd", "n": [1, 2.5, True, None]}
    json.dumps(protected, ensure_ascii=False).encode("utf-8")


def test_numbers_that_json_does_not_know_become_text(distillery: Distillery) -> None:
    assert distillery.privacy.protect([float("nan"), float("-inf"), 1.5]) == ["nan", "-inf", 1.5]


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"k": value}])
def test_deep_nesting_ends(distillery: Distillery, wrap: Callable[[object], object]) -> None:
    value: object = f"<private>{CANARY}</private>"
    for _ in range(100_000):
        value = wrap(value)
    kept = json.dumps(distillery.privacy.protect(value))
    assert "nested too deeply" in kept
    assert CANARY not in kept


# Assembled here, so that no scanner takes this file for a leak.
LETTERS = "Zq8XwVb3LkT9sRm2NpYc7HdJf4GtAe6UhKo5"
HEX = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
SECRETS = [
    "sk-" + "ant-api03-" + LETTERS,
    "sk-" + "proj-" + LETTERS,
    "sk-" + LETTERS,
    "sk-" + "or-v1-" + HEX + HEX,
    "ghp" + "_" + LETTERS,
    "ghs" + "_" + LETTERS,
    "github" + "_pat_11ABCDEFG0" + LETTERS,
    "glpat" + "-" + LETTERS[:20],
    "xox" + "b-123456789012-123456789012-" + LETTERS[:24],
    "AKIA" + "QZ7XPLM3NRTV5WY2",
    "ASIA" + "QZ7XPLM3NRTV5WY2",
    "AIza" + LETTERS[:35],
    "ya29" + "." + LETTERS,
    "GOCSPX" + "-" + LETTERS[:28],
    "sk" + "_live_" + LETTERS[:24],
    "rk" + "_test_" + LETTERS[:24],
    "whsec" + "_" + LETTERS,
    "npm" + "_" + LETTERS,
    "pypi" + "-AgEIcHlwaS5vcmc" + LETTERS + LETTERS,
    "hf" + "_" + LETTERS,
    "SG" + "." + LETTERS[:22] + "." + LETTERS,
    "dop" + "_v1_" + HEX + HEX,
    "shpat" + "_" + HEX,
    "dapi" + HEX,
    "hvs" + "." + LETTERS,
    "dckr" + "_pat_" + LETTERS[:27],
    "gsk" + "_" + LETTERS + LETTERS[:16],
    "123456789:AA" + LETTERS[:33],
    "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0." + LETTERS,
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "key is {}.", 'export X="{}"', "({})", "https://example.com/?a={}&b=1", "\n{}\n"]
)
def test_a_vendors_key_is_redacted_wherever_it_stands(distillery: Distillery, secret: str, around: str) -> None:
    protected = distillery.privacy.protect_text(around.format(secret))
    assert secret not in protected
    assert LETTERS[:16] not in protected
    assert "[redacted]" in protected


ASSIGNED = [
    ("DB_PASSWORD=hunter2", "hunter2"),
    ("export PGPASSWORD=tr0ub4dor psql", "tr0ub4dor"),
    ("PASSWORD: 'correct-horse-battery'", "correct-horse"),
    ('password = "hunter22"', "hunter22"),
    ('{"password": "hunter22", "user": "bob"}', "hunter22"),
    ('"{\\"password\\": \\"hunter22\\"}"', "hunter22"),
    ("STRIPE_KEY=" + LETTERS, LETTERS),
    ("api_key: " + LETTERS, LETTERS),
    ("apiKey = '" + LETTERS + "'", LETTERS),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "ZZZZZZKEY7", "K7MDENG"),
    ("SECRET_KEY=django-insecure-x8#k2@1abcdefg", "x8#k2"),
    ("ACCESS_TOKEN=" + HEX, HEX),
    ("DATABASE_URL=postgres://shop:s3cr3t@db:5432/shop", "s3cr3t"),
    ("postgres://shop:p@ss@db/shop", "p@ss"),
    ("redis://:s3cr3tpw@localhost:6379/0", "s3cr3tpw"),
    ("git clone https://" + LETTERS + "@example.com/x.git", LETTERS),
    ("curl -u bob:hunter22 https://example.com", "hunter22"),
    ("mysqldump --password=hunter22 shop", "hunter22"),
    ("deploy --token hunter22 --now", "hunter22"),
    ("Authorization: Bearer abcdef123", "abcdef123"),
    ("-H 'X-Api-Key: abcdef123'", "abcdef123"),
    ("Authorization: " + HEX, HEX),
    ("Cookie: theme=dark; session=" + HEX + "; a=b", HEX),
    ("the header was Bearer " + LETTERS, LETTERS),
]


@pytest.mark.parametrize(("text", "secret"), ASSIGNED)
def test_what_a_name_calls_secret_is_redacted(distillery: Distillery, text: str, secret: str) -> None:
    protected = distillery.privacy.protect_text(text)
    assert secret not in protected
    assert "[redacted]" in protected


@pytest.mark.parametrize("end", ["\n-----END RSA PRIVATE KEY-----\nafter", ""])
def test_a_private_key_block_is_redacted_even_when_cut_off(distillery: Distillery, end: str) -> None:
    protected = distillery.privacy.protect_text("before\n-----BEGIN RSA " + f"PRIVATE KEY-----\nMIIEow{LETTERS}{end}")
    assert LETTERS not in protected
    assert protected.startswith("before\n[redacted]")
    assert protected.endswith("after") is bool(end)


def test_several_passwords_under_one_name_are_each_one(distillery: Distillery) -> None:
    said = {"password": ["hunter22", 12345678, {"name": "bob", "password": ["tr0ub4dor"]}, ["plain"]], "port": ["5432"]}
    assert distillery.privacy.protect(said) == {
        "password": ["[redacted]", "[redacted]", {"name": "bob", "password": ["[redacted]"]}, ["plain"]],
        "port": ["5432"],
    }


def test_a_password_of_digits_alone_is_one_as_a_number_too(distillery: Distillery) -> None:
    said = {"password": 12345678, "token": 12345678, "secret": True, "pwd": 0, "port": 5432}
    assert distillery.privacy.protect(said) == {**said, "password": "[redacted]"}


def test_a_member_named_like_a_secret_is_redacted(distillery: Distillery) -> None:
    protected = distillery.privacy.protect(
        {"password": "hunter22", "api_key": LETTERS, "auth": {"accessToken": HEX}, "token_count": "12", "name": "bob"}
    )
    assert protected == {
        "password": "[redacted]",
        "api_key": "[redacted]",
        "auth": {"accessToken": "[redacted]"},
        "token_count": "12",
        "name": "bob",
    }


HARMLESS = [
    "commit 3f2a91c0d4e5f60718293a4b5c6d7e8f90a1b2c3",
    "index 3f2a91c..d4e5f60 100644",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "550e8400-e29b-41d4-a716-446655440000",
    "data:image/png;base64," + base64.b64encode(bytes(range(200))).decode(),
    "integrity: sha512-" + base64.b64encode(bytes(range(64))).decode(),
    "password: str",
    "password = get_password()",
    'password = os.environ["DB_PASSWORD"]',
    "self.token = token",
    "token = request.headers.get('x-token')",
    "secret_key = settings.SECRET_KEY",
    "API_KEY=$API_KEY make deploy",
    "API_KEY=${{ secrets.API_KEY }}",
    "https://user:${PASSWORD}@example.com",
    "PASSWORD=<your password>",
    "max_tokens=4096, temperature=0.2",
    "def login(user: str, password: str, token: str | None = None) -> bool:",
    "primary_key = Column(Integer, primary_key=True)",
    "sorted(items, key=lambda item: item.created_at)",
    "sort_key=created_at_descending_2024",
    "cache_key: 3f2a91c0d4e5f60718293a4b5c6d7e8f90a1b2c3",
    'event.key === "Enter"',
    "PWD=/home/dev/shop",
    "the token bucket refills at 5 tokens a second: see TokenBucket.take",
    "sk-loading-spinner-container-large-2",
    "Bearer authentication is used everywhere",
    "Set-Cookie: theme=dark; Path=/; Max-Age=3600",
    "authorization = self.headers.get('authorization')",
    "password = auth[2]",
    "csrf_token = tokens_by_id[request_id2]",
    "token = line[pos:].rstrip(b'1234')",
    "fetch(url, {credentials: 'include'})",
    "if password == expected_password:",
    "assert token != other_token",
    "http://localhost:8080/path:8080@x",
    "npm_config_registry and gh_actions and AKIA",
    "see https://example.com/a/b?page=2#frag",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_work_is_not_redacted(distillery: Distillery, text: str) -> None:
    assert distillery.privacy.protect_text(text) == text


def test_protecting_twice_changes_nothing_more(distillery: Distillery) -> None:
    for text in [*SECRETS, *HARMLESS, *(text for text, _ in ASSIGNED)]:
        once = distillery.privacy.protect_text(text)
        assert distillery.privacy.protect_text(once) == once


REPEATED = {
    "openings": "<private>",
    "openings of two names": "<private><system-reminder></private>",
    "openings without an end": "<private ",
    "angles": "<",
    "angles and blanks": "<      ",
    "names of secrets": "password= ",
    "names of secrets in one word": "_key",
    "addresses": "http://a:",
    "schemes": "abc+",
    "key blocks": "-----BEGIN PRIVATE KEY-----",
    "curl": "curl -u ",
    "headers": "authorization: ",
    "letters": "a",
    "blanks": " ",
}


@pytest.mark.parametrize("unit", REPEATED.values(), ids=REPEATED.keys())
def test_work_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    privacy = Distillery("server_beta").privacy

    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        spent = []
        for _ in range(3):
            begin = time.process_time()
            privacy.protect_text(text)
            spent.append(time.process_time() - begin)
        return min(spent)

    # Eight times the text takes about eight times as long; sixty-four times if each place looked at all the others.
    assert seconds(1_000_000) < 28 * max(seconds(125_000), 0.002)
