"""What is found, in which order, and that no question is an error."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.worker.parts import Chain, stop
from worker.domain.observations import Draft
from worker.domain.ports import Generated
from worker.domain.records import SearchRequest
from worker.services.observations import Observations

_DRAFTS = (
    Draft("bugfix", "Fixed the rounding of discounts", files_modified=("shop/cart.py",), concepts=("money",)),
    Draft("feature", "Export of orders as CSV", narrative="The rounding is untouched.", files_read=("shop/cart.py",)),
    Draft("decision", "Keep Decimal", facts=("parseAmount returns a Decimal",), files_modified=("shop/money.py",)),
    Draft("discovery", "割引コードの検証", narrative="大文字と小文字を区別しない"),
)


@pytest.fixture
async def filled(chain: Chain) -> Chain:
    chain.provider.answers = [Generated(_DRAFTS)]
    await chain.take(stop())
    await chain.generate.run_next()
    return chain


async def _titles(chain: Chain, query: str, **more: object) -> list[str]:
    hits = await Observations(chain.database).search(SearchRequest(query, **more))  # type: ignore[arg-type]
    assert all(hit.score >= 0 for hit in hits)
    return [hit.observation.draft.title for hit in hits]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("why is the rounding of a discount wrong", "Fixed the rounding of discounts"),
        ("csv", "Export of orders as CSV"),
        ("amount", "Keep Decimal"),
        ("parseAmount", "Keep Decimal"),
        ("shop/money.py", "Keep Decimal"),
        ("割引コード", "割引コードの検証"),
        ("小文字", "割引コードの検証"),
        ("disc", "Fixed the rounding of discounts"),
    ],
)
async def test_a_question_finds(filled: Chain, query: str, first: str) -> None:
    assert (await _titles(filled, query))[0] == first


async def test_what_has_every_word_comes_first(filled: Chain) -> None:
    assert await _titles(filled, "rounding discounts") == ["Fixed the rounding of discounts", "Export of orders as CSV"]


async def test_filters(filled: Chain) -> None:
    assert await _titles(filled, "rounding", kinds=("feature",)) == ["Export of orders as CSV"]
    assert await _titles(filled, "rounding decimal", files=("shop/money.py",)) == ["Keep Decimal"]
    assert await _titles(filled, "rounding", since=filled.clock.now() + timedelta(seconds=1)) == []
    assert await _titles(filled, "rounding", until=filled.clock.now() - timedelta(seconds=1)) == []
    assert len(await _titles(filled, "rounding", limit=1)) == 1
    assert await _titles(filled, "rounding", limit=1) != await _titles(filled, "rounding", limit=1, offset=1)


@pytest.mark.parametrize(
    "query", ['"', "a AND", "NEAR(", "title:x", "^", "*", "-", "(((", "\\", "\udc80", "\x00", "x" * 4000]
)
async def test_no_question_is_an_error(filled: Chain, query: str) -> None:
    await _titles(filled, query)


async def test_what_was_replaced_is_found_no_more(filled: Chain) -> None:
    filled.provider.answers = [Generated((Draft("change", "Something else"),))]
    await filled.take(stop())
    await filled.work()
    assert await _titles(filled, "rounding csv decimal") == []
    assert filled.rows("SELECT count(*) FROM observation_files") == [(0,)]
