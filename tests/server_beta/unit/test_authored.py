"""What a client words itself: one text or parts, and how a change keeps title and content true to each other."""

from __future__ import annotations

import pytest

from server_beta.domain.authored import Authored, changed, new_draft, title_of
from server_beta.domain.errors import InvalidInput
from server_beta.domain.observations import SUMMARY_KIND, Draft, content_of


def _written(**said: object) -> Draft:
    return new_draft(Authored(**said))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["one", "one\ntwo", "\n\n  one  \n\ttwo\r\n", "one" * 5000, "🎉 日本\n"])
def test_one_text_stays_one_text(text: str) -> None:
    draft = _written(content=text)
    assert content_of(draft) == draft.narrative == text
    assert draft.title == title_of(text) != ""
    assert content_of(_written(narrative=text)) == text


def test_a_title_is_the_first_line_that_shows_anything() -> None:
    assert title_of("\n \u200b\n  First   line \nsecond") == "First line"
    assert len(title_of("word " * 100)) <= 120
    assert title_of(" \n\t") == ""


def test_a_title_of_its_own_does_not_become_part_of_the_text() -> None:
    draft = _written(title="T", content="one\ntwo", facts=("f",))
    assert (draft.title, content_of(draft)) == ("T", "one\ntwo")


def test_parts_are_rendered() -> None:
    assert content_of(_written(title="T", narrative="N", facts=("f",))) == "T\nN\n- f"
    assert content_of(_written(title="T", kind=SUMMARY_KIND)) == "T"
    assert content_of(_written(title="T", kind=SUMMARY_KIND, metadata={"learned": 5})) == "learned: 5"


@pytest.mark.parametrize(
    ("before", "said", "title", "content"),
    [
        (Authored(content="one"), Authored(content="two"), "two", "two"),
        (Authored(content="one"), Authored(narrative="two"), "two", "two"),
        (Authored(content="one"), Authored(title="T"), "T", "one"),
        (Authored(content="one", title="T"), Authored(content="two"), "T", "two"),
        (Authored(title="T", narrative="N"), Authored(narrative="N2"), "T", "T\nN2"),
        (Authored(title="T", narrative="N"), Authored(title="T2"), "T2", "T2\nN"),
        (Authored(title="T", narrative="N"), Authored(facts=("f",)), "T", "T\nN\n- f"),
        (Authored(title="T", narrative="N", facts=("f",)), Authored(facts=()), "T", "T\nN"),
        (Authored(title="T", narrative="N"), Authored(content="one\ntwo"), "T", "one\ntwo"),
    ],
)
def test_a_change_keeps_title_and_content_true(before: Authored, said: Authored, title: str, content: str) -> None:
    draft = changed(new_draft(before), said)
    assert (draft.title, content_of(draft)) == (title, content)


def test_a_generated_observation_is_rendered_anew() -> None:
    generated = Draft("bugfix", "T", narrative="N", facts=("f",), content="T\nN\n- f")
    assert content_of(changed(generated, Authored(title="T2"))) == "T2\nN\n- f"


@pytest.mark.parametrize("said", [Authored(facts=("alone",)), Authored(content="\u200b"), Authored(title="<private>t")])
def test_what_shows_nothing_is_refused(said: Authored) -> None:
    with pytest.raises(InvalidInput) as refused:
        new_draft(said)
    assert refused.value.issues


def test_what_could_not_be_searched_is_refused() -> None:
    new_draft(Authored(content="a" * (256 * 1024 - 200)))
    with pytest.raises(InvalidInput, match="256 KiB"):
        new_draft(Authored(content="a" * 256 * 1024))
    with pytest.raises(InvalidInput, match="2500 bytes"):
        new_draft(Authored(content="a", files_read=("a" * 2501,)))
