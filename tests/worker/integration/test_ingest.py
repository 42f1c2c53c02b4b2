"""Each event once, with its project, session and turn, and the job that it calls for."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from tests.support.waiting import eventually
from tests.worker.parts import Chain, body, edit, headers, milliseconds, prompt, stop
from worker.domain.observations import Draft
from worker.domain.ports import Generated


async def test_an_event_is_stored_once(chain: Chain) -> None:
    assert await chain.take(stop(), "same")
    assert not await chain.take(stop(), "same")
    assert not await chain.take(stop("Another text."), "same")
    assert chain.rows("SELECT count(*) FROM events") == [(1,)]
    assert chain.rows("SELECT revision FROM jobs") == [(1,)]


async def test_the_same_id_in_another_project_is_another_event(chain: Chain) -> None:
    assert await chain.take(stop(), "same")
    assert await chain.take(stop(), "same", project="git:example.test/dev/other")
    assert chain.rows("SELECT count(*) FROM projects") == [(2,)]


async def test_a_stop_closes_its_turn(chain: Chain) -> None:
    await chain.take(prompt("Fix it."))
    await chain.take(edit("a.py"))
    assert chain.rows("SELECT count(*) FROM jobs") == [(0,)]
    assert chain.wakes == 0
    await chain.take(stop())
    assert chain.rows("SELECT source_type, status FROM jobs") == [("event_batch", "queued")]
    assert chain.rows("SELECT is_open FROM turns") == [(0,)]
    assert chain.wakes == 1


async def test_the_next_prompt_closes_a_turn_that_never_stopped(chain: Chain) -> None:
    await chain.take(prompt("First.", prompt_id="one"))
    await chain.take(prompt("Second.", prompt_id="two"))
    assert chain.rows("SELECT key, is_open FROM turns ORDER BY key") == [("one", 0), ("two", 1)]


async def test_a_prompt_leaves_the_turns_of_other_sessions_alone(chain: Chain) -> None:
    await chain.take(prompt("First.", session_id="one"))
    await chain.take(prompt("Second.", session_id="two"))
    assert chain.rows("SELECT count(*) FROM turns WHERE is_open = 1") == [(2,)]


async def test_the_end_of_a_session_closes_all_its_turns(chain: Chain) -> None:
    await chain.take(edit("a.py", prompt_id="one"))
    await chain.take(edit("b.py", prompt_id="two"))
    await chain.take(body("SessionEnd", reason="other"))
    assert chain.rows("SELECT count(*) FROM turns WHERE is_open = 1") == [(0,)]
    assert chain.rows("SELECT count(*) FROM jobs WHERE status = 'queued'") == [(2,)]
    assert chain.rows("SELECT ended_at FROM sessions") == [(milliseconds(chain.clock.now()),)]


async def test_a_session_end_without_anything_else_calls_for_nothing(chain: Chain) -> None:
    await chain.take(body("SessionEnd", reason="other"))
    assert chain.rows("SELECT count(*) FROM jobs") == [(0,)]


async def test_events_without_a_prompt_id_make_one_turn(chain: Chain) -> None:
    await chain.take(edit("a.py", prompt_id=None))
    await chain.take(stop(prompt_id=None))
    assert await chain.work() == 2
    assert len(chain.provider.asked[0].events) == 2


async def test_a_private_prompt_blanks_its_whole_turn(chain: Chain) -> None:
    chain.provider.answers = [Generated((Draft("change", "A canary", narrative="canary " * 5000),))]
    await chain.take(edit("canary-before.py", transcript_path="canary " * 5000))
    await chain.take(stop("The canary sang."))
    await chain.work()
    assert "A canary" in chain.titles()
    await chain.take(prompt("<private>canary</private>"))
    await chain.take(edit("canary-after.py"))
    await chain.take(stop("The canary sings."))
    await chain.work()
    assert len(chain.provider.asked) == 1
    assert "A canary" not in chain.titles()
    assert not [row for row in chain.rows("SELECT payload FROM events") if "canary" in row[0]]
    # While the worker runs: it may do so for weeks.
    files = [chain.path, chain.path.with_name("worker.db-wal")]
    await eventually(lambda: not any(b"canar" in file.read_bytes() for file in files))


async def test_what_is_private_late_does_not_wait_for_generation_to_go(chain: Chain) -> None:
    await chain.take(edit("canary.py"))
    await chain.take(prompt("<private>canary</private>"))
    files = [chain.path, chain.path.with_name("worker.db-wal")]
    await eventually(lambda: not any(b"canar" in file.read_bytes() for file in files))


async def test_a_reader_that_is_in_the_way_of_forgetting_delays_it(chain: Chain) -> None:
    await chain.take(edit("canary.py"))
    log = chain.path.with_name("worker.db-wal")
    reading = sqlite3.connect(chain.path, isolation_level=None)
    reading.execute("BEGIN")
    assert reading.execute("SELECT count(*) FROM events").fetchone() == (1,)
    chain.database._writer._raw.execute("PRAGMA busy_timeout = 0")
    await chain.take(prompt("<private>canary</private>"))
    await chain.take(edit("a.py", prompt_id="next"))
    assert b"canar" in log.read_bytes()
    reading.close()
    await chain.take(edit("b.py", prompt_id="next"))
    await eventually(lambda: b"canar" not in log.read_bytes() + chain.path.read_bytes())


async def test_the_next_turn_of_a_private_one_is_open(chain: Chain) -> None:
    await chain.take(prompt("<private>x</private>", prompt_id="one"))
    await chain.take(edit("a.py", prompt_id="two"))
    assert chain.rows("SELECT key, is_private FROM turns ORDER BY key") == [("one", 1), ("two", 0)]


async def test_a_clock_that_is_ahead_is_not_believed(chain: Chain) -> None:
    ahead = milliseconds(chain.clock.now() + timedelta(days=400))
    await chain.take(stop(), occurred_at=str(ahead))
    assert chain.rows("SELECT occurred_at FROM events") == [(milliseconds(chain.clock.now()),)]


async def test_an_owed_context_is_delivered_once(chain: Chain) -> None:
    async def delivers(event: dict[str, object], **more: str) -> bool:
        recording = await chain.ingest.record(chain.parsed(event, headers(**more)))
        return recording.delivers_context

    assert not await delivers(body("SessionStart", source="startup"), spooled="1")
    assert not await delivers(prompt("Spooled too."), spooled="1")
    assert await delivers(prompt("Hello."))
    assert not await delivers(prompt("Again."))


async def test_a_start_whose_answer_came_too_late_is_owed_as_well(chain: Chain) -> None:
    assert await chain.take(body("SessionStart", source="startup"), "start")
    assert not await chain.take(body("SessionStart", source="startup"), "start", spooled="1")
    assert chain.rows("SELECT context_owed FROM sessions") == [(1,)]
