"""What becomes of generated observations that somebody deletes or rewords, when their turn is generated again."""

from __future__ import annotations

from dataclasses import replace

from server_beta.domain.authored import Authored
from server_beta.domain.ids import ObservationId
from server_beta.domain.jobs import SourceType
from server_beta.services.author import Author
from tests.support.chain import Chain, titled
from tests.support.counting import run_sql
from tests.support.providers import ScriptedProvider


async def _id_of(chain: Chain, title: str) -> ObservationId:
    (row,) = await run_sql(chain.store, "SELECT id FROM observations WHERE title = $1", title)
    return row["id"]  # type: ignore[return-value]


async def test_what_was_reworded_outlives_the_next_generation(chain: Chain) -> None:
    provider = ScriptedProvider(titled("wrong", "stale"), titled("right"))
    await chain.generate(provider).run(await chain.turn("PostToolUse", "Stop"))
    author = Author(chain.store)
    await author.change(chain.tenant.principal, await _id_of(chain, "wrong"), Authored(title="corrected"), "r")
    await chain.put(9, "PostToolUse", "content")
    await chain.generate(provider).run(await chain.waiting(SourceType.EVENT_BATCH))
    assert await chain.titles() == ["corrected", "right"]


async def test_what_was_deleted_does_not_come_back_from_its_own_job(chain: Chain) -> None:
    batch = await chain.turn("PostToolUse", "Stop")
    generate = chain.generate(ScriptedProvider(titled("gone", "kept")))
    await generate.run(batch)
    await Author(chain.store).delete(chain.tenant.principal, await _id_of(chain, "gone"), "r")
    await generate.run(batch)
    await generate.run(replace(batch, attempt=1))
    assert await chain.titles() == ["kept"]
