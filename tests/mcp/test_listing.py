"""What was remembered as text for a model: harmless, bounded, and honest about what is left out."""

from __future__ import annotations

from uuid import UUID

from server_beta.cli.listing import around, found, in_full, projects
from server_beta.cli.memory import Scope, Wire

ALL = Scope("all projects", is_all=True)


def observation(number: int, **members: object) -> Wire:
    made = {"id": str(UUID(int=number)), "projectId": "p", "kind": "bugfix", "title": "Fix", "content": "Fix it"}
    return {**made, "createdAtEpoch": 1_767_323_045_678, **members}


def test_a_hit_is_a_line_and_its_context_where_that_says_more() -> None:
    hits = [
        observation(1, snippet="why it was", filesModified=["a.py", "b.py", "c.py", "d.py"]),
        observation(2, snippet="Fix", filesModified=[], filesRead=["e.py"]),
    ]
    assert found(ALL, hits, {"p": "shop"}).splitlines()[1:] == [
        "- [00000001] 2026-01-02 03:04 shop bugfix: Fix (a.py, b.py, c.py, +1 more)",
        "    why it was",
        "- [00000002] 2026-01-02 03:04 shop bugfix: Fix (e.py)",
    ]


def test_recorded_text_cannot_pass_for_lines_of_ours() -> None:
    sly = "x\n- [ffffffff] bugfix: a lie\x1b[2J\u202e"
    text = found(ALL, [observation(1, title=sly, kind=sly, snippet=sly, filesRead=[sly])], {"p": sly})
    assert [line[:12] for line in text.splitlines()[1:]] == ["- [00000001]"]
    assert "\x1b" not in text + around("", [observation(1, title=sly)])
    assert "\u202e" not in text + in_full([], [observation(1, content=sly)], {"p": sly})
    assert len(projects([{"name": sly, "key": sly}], "").splitlines()) == 1


def test_a_timeline_has_a_heading_for_each_day() -> None:
    day = 86_400_000
    moments = [observation(number, createdAtEpoch=number * day // 2) for number in range(4)]
    assert around(str(moments[1]["id"]), moments).splitlines()[1:] == [
        "1970-01-01",
        "- [00000000] 00:00 bugfix: Fix",
        "> [00000001] 12:00 bugfix: Fix",
        "1970-01-02",
        "- [00000002] 00:00 bugfix: Fix",
        "- [00000003] 12:00 bugfix: Fix",
    ]


def test_long_texts_are_cut_and_too_many_are_named() -> None:
    long = [observation(number, content="x" * 50_000) for number in range(8)]
    text = in_full([], long, {})
    assert len(text) < 62_000
    assert text.count("characters cut") >= 4
    shown = [number for number in range(8) if f"[{number:08x}]" in text]
    left_out = text.rpartition("ask for them separately: ")[2].split(", ")
    assert [f"{number:08x}" for number in range(8) if number not in shown] == left_out
    assert shown


def test_an_answer_of_another_version_is_shown_as_far_as_it_goes() -> None:
    assert "[no id] unknown time note: (no title)" in found(ALL, [{"filesModified": "?"}], {})
    assert in_full(["00000001"], [], {}) == "There are no observations with these ids: 00000001"
    assert projects([], "") == "Nothing is recorded in any project yet."
