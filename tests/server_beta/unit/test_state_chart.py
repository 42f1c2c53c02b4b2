"""The chart in runtime/README.md shows the transitions that the code permits, all of them and no other."""

from __future__ import annotations

import re

from server_beta.domain.jobs import TRANSITIONS, JobStatus
from tests.support.processes import REPOSITORY


def test_the_chart_is_the_table() -> None:
    text = REPOSITORY.joinpath("runtime", "README.md").read_text("utf-8")
    chart = text.split("```mermaid")[1].split("```")[0]
    drawn = re.findall(r"^ *(\S+) --> (\S+): (\S+)$", chart, re.MULTILINE)
    permitted = [(move.source.value if move.source else "[*]", move.target.value, move.actor) for move in TRANSITIONS]
    assert sorted(drawn) == sorted(permitted)


def test_no_status_is_a_dead_end_but_completed() -> None:
    left = {move.source for move in TRANSITIONS}
    assert set(JobStatus) - left == {JobStatus.COMPLETED}
