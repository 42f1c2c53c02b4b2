from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from worker.domain.terms import all_of, any_of, indexable, snippet, terms


@pytest.fixture
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5(text, tokenize = 'porter unicode61')")
    yield connection
    connection.close()


def _finds(index: sqlite3.Connection, text: str, question: str, expression: str = "any") -> bool:
    index.execute("INSERT INTO words (text) VALUES (?)", (indexable(text),))
    wanted = terms(question)
    match = any_of(wanted) if expression == "any" else all_of(wanted)
    return bool(index.execute("SELECT 1 FROM words WHERE words MATCH ?", (match,)).fetchall())


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("parseDiscountCode checks upper case", "discount"),
        ("parseDiscountCode checks upper case", "parseDiscountCode"),
        ("HTTPServer restarts", "server"),
        ("snake_case_name", "case"),
        ("src/app/models/user.py", "models"),
        ("src/app/models/user.py", "src/app/models/user.py"),
        ("changed the rounding", "change"),
        ("authentication", "auth"),
        ("修复了折扣代码的错误", "折扣"),
        ("割引コードを直した", "コード"),
        ("할인 코드를 고쳤다", "코드"),
        ("Straße", "straße"),
        ("café", "cafe"),
    ],
)
def test_a_text_is_found_by(index: sqlite3.Connection, text: str, question: str) -> None:
    assert _finds(index, text, question)


@pytest.mark.parametrize(
    ("text", "question"), [("rounding", "invoice"), ("折扣", "扣折"), ("the cat", "a dog"), ("ab", "abc")]
)
def test_a_text_is_not_found_by(index: sqlite3.Connection, text: str, question: str) -> None:
    assert not _finds(index, text, question)


def test_all_of_wants_every_term(index: sqlite3.Connection) -> None:
    assert not _finds(index, "discount codes", "discount rounding", "all")
    assert _finds(index, "rounding of discounts", "discount rounding", "all")


@pytest.mark.parametrize(
    "question",
    ['"', '""', 'a" OR "b', "NEAR(a b)", "col: x", "-a", "^a", "a*", "(", ")", "{a}: b", "AND", "NOT x", "\\", "'"],
)
def test_no_question_is_syntax(index: sqlite3.Connection, question: str) -> None:
    wanted = terms(question)
    for expression in (any_of(wanted), all_of(wanted)) if wanted else ():
        index.execute("SELECT 1 FROM words WHERE words MATCH ?", (expression,)).fetchall()


def test_words_that_say_nothing_are_left_out_where_others_remain() -> None:
    assert terms("what is the rounding of it") == ("rounding",)
    assert terms("what is the") == ("what", "is", "the")
    assert terms(" ?! ") == ()


def test_a_question_has_a_bounded_number_of_terms() -> None:
    assert len(terms(" ".join(f"word{number}" for number in range(1000)))) == 32


def test_a_snippet_shows_the_place_on_one_line() -> None:
    text = "start " * 60 + "here\nis the rounding bug " + "end " * 100
    cut = snippet(text, ("rounding",))
    assert "rounding" in cut
    assert "\n" not in cut
    assert cut.startswith("…")
    assert cut.endswith("…")
    assert len(cut) <= 242


def test_a_snippet_of_a_short_text_is_the_text() -> None:
    assert snippet("short text", ("nothing",)) == "short text"
