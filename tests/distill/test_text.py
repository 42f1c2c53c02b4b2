from __future__ import annotations

import json

import pytest

from tests.distill.replay import Distillery


@pytest.mark.parametrize("limit", [0, 1, 2, 10, 60, 80, 100, 5000])
@pytest.mark.parametrize("length", [0, 1, 79, 100, 101, 100_000])
def test_a_capped_text_is_never_longer_than_its_limit(distillery: Distillery, length: int, limit: int) -> None:
    text = "x" * length
    capped = distillery.text.cap(text, limit)
    assert len(capped) <= limit or capped == text
    assert (capped == text) is (length <= limit)


def test_a_cut_keeps_head_and_tail_and_says_so(distillery: Distillery) -> None:
    capped = distillery.text.cap("BEGIN" + "x" * 10_000 + "END", 500)
    assert capped.startswith("BEGIN")
    assert capped.endswith("END")
    assert "characters cut" in capped


def test_one_line_folds_white_space_and_ends_at_a_word(distillery: Distillery) -> None:
    assert distillery.text.one_line(" a\n\tb\r\n  c ") == "a b c"
    assert distillery.text.one_line("one two three four five", 16) == "one two three…"
    assert len(distillery.text.one_line("x" * 200, 100)) == 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0mb", "aredb"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x08\x7f\x9bb", "ab"),
        ("a\u202eb\u2066c\u200b\u200fd", "abcd"),
        ("a\U000e0041\U000e0042b", "ab"),
        ("a\r\nb\rc\td", "a\nb\nc\td"),
        ("naïve 日本語 🙂 क्षि", "naïve 日本語 🙂 क्षि"),
    ],
)
def test_control_characters_go_and_languages_stay(distillery: Distillery, text: str, shown: str) -> None:
    assert distillery.text.neutralise(text) == shown


def test_tokens_are_a_quarter_for_ascii_and_one_for_the_rest(distillery: Distillery) -> None:
    assert distillery.text.estimated_tokens("") == 0
    assert distillery.text.estimated_tokens("abcde") == 2
    assert distillery.text.estimated_tokens("日本語") == 3
    assert distillery.text.estimated_tokens("abcd日") == 2


@pytest.mark.parametrize(
    "payload",
    [
        {"a": "x" * 5_000_000},
        {"a": ["x" * 1000] * 5000},
        {str(number): "x" * 100 for number in range(50_000)},
        {"a": [[[["x"] * 30] * 30] * 30] * 30},
        {"a": "\x01" * 1_000_000},
        {"a": "\U0001f600" * 1_000_000},
        {"k" * 1_000_000: 1},
        {"a": [123456789] * 200_000},
    ],
)
def test_any_payload_fits_after_capping(distillery: Distillery, payload: dict[str, object]) -> None:
    capped = distillery.text.cap_json(payload, 65_536, 262_144)
    assert len(json.dumps(capped, ensure_ascii=False).encode()) <= 262_144
    assert capped


def test_a_payload_that_fits_is_not_touched(distillery: Distillery) -> None:
    payload = {"a": ["b", {"c": None, "d": 1.5}], "e": "x" * 60_000}
    assert distillery.text.cap_json(payload, 65_536, 262_144) == payload
