"""Many commands at once come to one server, and to one end."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lifecycle.program import Answer, Program
from tests.support.processes import assert_no_process


def _at_once(program: Program, count: int, *arguments: str) -> list[Answer]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(program, *arguments) for _ in range(count)]]


@pytest.mark.parametrize("count", [2, 20])
def test_starts_at_once_make_one_server(program: Program, count: int) -> None:
    answers = _at_once(program, count, "start", "--json")

    assert [answer.exit_code for answer in answers] == [0] * count, [answer.stderr for answer in answers]
    assert {answer.data["pid"] for answer in answers} == {program.health()["pid"]}
    assert Counter(answer.data["status"] for answer in answers) == {"ready": 1, "already running": count - 1}
    program("stop")
    assert_no_process(program.data_dir, within=0)


def test_stops_at_once_end_the_server_in_order(program: Program) -> None:
    with program.in_foreground() as process:
        answers = _at_once(program, 5, "stop", "--json")

        assert process.wait(5) == 0  # 130 would mean that a second signal cut it off
    assert [answer.exit_code for answer in answers] == [0] * 5
    assert {answer.data["status"] for answer in answers} <= {"stopped", "not running"}
    assert program.state() == {}
