"""Evidence in, observations out: one case for each kind of work a turn may hold."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.distill.replay import RUNTIMES, Distillery, recorded

Event = tuple[str, dict[str, object]]
ROOT = "/home/dev/shop"


def asked(prompt: str) -> Event:
    return "UserPromptSubmit", {"prompt": prompt}


def answered(message: str) -> Event:
    return "Stop", {"last_assistant_message": message}


def tool(name: str, tool_input: dict[str, object], response: object, **more: object) -> Event:
    return "PostToolUse", {"tool_name": name, "tool_input": tool_input, "tool_response": response, **more}


def ran(command: str, stdout: str = "", stderr: str = "") -> Event:
    return tool("Bash", {"command": command}, {"stdout": stdout, "stderr": stderr, "interrupted": False})


def failed(command: str, error: str, *, is_interrupt: bool = False) -> Event:
    payload = {"tool_name": "Bash", "tool_input": {"command": command}, "error": error, "is_interrupt": is_interrupt}
    return "PostToolUseFailure", payload


def edited(path: str, old: str, new: str) -> Event:
    hunk = {"oldStart": 1, "newStart": 1, "lines": [f"-{old}", f"+{new}"]}
    tool_input: dict[str, object] = {"file_path": f"{ROOT}/{path}", "old_string": old, "new_string": new}
    return tool("Edit", tool_input, {"structuredPatch": [hunk], "originalFile": old})


def written(path: str, content: str) -> Event:
    tool_input: dict[str, object] = {"file_path": f"{ROOT}/{path}", "content": content}
    return tool("Write", tool_input, {"type": "create", "content": content, "structuredPatch": []})


def read(path: str) -> Event:
    return tool("Read", {"file_path": f"{ROOT}/{path}"}, {"type": "text", "file": {"content": "x"}})


def observe(distillery: Distillery, *events: Event) -> tuple[Any, ...]:
    drafts = distillery.extractive.observe(distillery.material(*events))
    assert isinstance(drafts, tuple)
    return drafts


def only(distillery: Distillery, *events: Event) -> Any:
    drafts = observe(distillery, *events)
    assert len(drafts) == 1, drafts
    return drafts[0]


def facts(distillery: Distillery, *events: Event) -> str:
    return "\n".join(fact for draft in observe(distillery, *events) for fact in draft.facts)


@pytest.mark.parametrize(
    "events",
    [
        [],
        [asked("thanks"), answered("You're welcome!")],
        [asked("hello"), answered("Hello! What shall we work on today?")],
        [asked("look at a.py"), read("a.py"), answered("Done.")],
        [asked("what is here"), ran("ls -la && cat a.py | head -3", "a.py"), answered("Ok.")],
        [asked("is it there"), failed("grep -rn foo src", "Exit code 1"), answered("No.")],
        [("SessionStart", {"source": "startup"})],
        [("SessionEnd", {"reason": "other"})],
        [("PreCompact", {"trigger": "auto"})],
        [("SubagentStop", {"agent_type": "", "last_assistant_message": "<summary>the client's own</summary>"})],
        [asked("<task-notification>job 7 finished</task-notification>"), answered("Noted.")],
        [("PostToolUseFailure", {"tool_name": "Read", "tool_input": {"file_path": "/x"}, "error": "no such file"})],
    ],
    ids=lambda events: " ".join(event for event, _ in events) or "nothing",
)
def test_a_turn_that_taught_nothing_leaves_nothing(distillery: Distillery, events: list[Event]) -> None:
    assert observe(distillery, *events) == ()


def test_a_long_answer_without_tools_is_kept(distillery: Distillery) -> None:
    answer = "Retries use exponential backoff with jitter, capped at an hour. " * 3 + (
        "The cap matters because a customer's outage can last a day. A dead letter keeps the body for a week. "
        "After that it is deleted by the nightly job. Nothing is lost when a worker dies, because a claim on a row "
        "expires after a minute and the next worker takes it."
    )
    draft = only(distillery, asked("how do retries work?"), answered(answer))
    assert draft.kind == "discovery"
    assert draft.title == "Retries use exponential backoff with jitter, capped at an hour"
    assert draft.narrative.startswith("The cap matters because")
    assert draft.narrative.count("exponential backoff") == 0


@pytest.mark.parametrize(
    ("prompt", "events", "answer", "kind"),
    [
        ("Fix the crash at login", [edited("a.py", "x = 1", "x = 2")], "Fixed the crash.", "bugfix"),
        ("Add a login page", [written("login.py", "def login():\n    pass\n")], "Added the login page.", "feature"),
        ("Rename Foo to Bar everywhere", [edited("a.py", "Foo", "Bar")], "Renamed Foo to Bar in a.py.", "refactor"),
        ("Bump the version", [edited("a.toml", "1.0", "1.1")], "The version is 1.1 now.", "change"),
        ("Fix typos in the README", [edited("README.md", "teh", "the")], "Fixed two typos in it.", "change"),
        (
            "Users could read other users' files",
            [edited("a.py", "open(p)", "open(safe(p))")],
            "Closed a path traversal in the download handler.",
            "security",
        ),
        (
            "Should we use Redis or Postgres for the queue?",
            [read("queue.py")],
            "We decided to use Postgres, because it is there already and the load is small.",
            "decision",
        ),
        (
            "Where is the port set?",
            [read("a.py")],
            "The port is set in `settings.py`, line 20, from PORT.",
            "discovery",
        ),
        (
            "make it work",
            [
                failed("pytest -q", "Exit code 1\nE   KeyError: 'x'"),
                edited("a.py", "d[k]", "d.get(k)"),
                ran("pytest -q", "3 passed in 0.1s"),
            ],
            "It works with missing keys now.",
            "bugfix",
        ),
    ],
)
def test_the_kind_follows_the_evidence(
    distillery: Distillery, prompt: str, events: list[Event], answer: str, kind: str
) -> None:
    assert observe(distillery, asked(prompt), *events, answered(answer))[0].kind == kind


def test_what_failed_and_how_it_ended(distillery: Distillery) -> None:
    told = facts(
        distillery,
        failed("cd web && npm run build", "Exit code 2\nsrc/a.ts(3,7): error TS2322: Type 'string' is not assignable."),
        edited("src/a.ts", "let n: number = ''", "let n: number = 0"),
        ran("cd web && npm run build 2>&1 | tail", "built in 2s"),
        failed("mypy src", "Exit code 1\nsrc/b.py:4: error: Missing return\nFound 1 error in 1 file"),
    )
    assert "`npm run build` failed with src/a.ts(3,7): error TS2322" in told
    assert "it passes now" in told
    assert "`mypy src` fails: src/b.py:4: error: Missing return." in told


def test_a_failure_behind_a_pipe_is_seen(distillery: Distillery) -> None:
    output = (
        "tests/test_a.py F\nE   assert 1 == 2\nFAILED tests/test_a.py::test_x - assert 1 == 2\n1 failed, 4 "
        "passed in 0.2s"
    )
    told = facts(distillery, ran("python -m pytest -q 2>&1 | tail -20", output))
    assert "fails: assert 1 == 2 (tests/test_a.py::test_x)" in told


def test_another_tests_success_does_not_hide_a_failure(distillery: Distillery) -> None:
    told = facts(
        distillery,
        failed("pytest tests/test_a.py", "Exit code 1\nE   ValueError: bad"),
        ran("pytest tests/test_b.py", "2 passed in 0.1s"),
    )
    assert "`pytest tests/test_a.py` fails: ValueError: bad" in told


def test_an_interrupted_command_is_not_called_a_failure(distillery: Distillery) -> None:
    assert "was interrupted" in facts(distillery, failed("npm test", "Interrupted", is_interrupt=True))


@pytest.mark.parametrize(
    ("command", "fact"),
    [
        ("git commit -qm 'Add totals'", "Committed: Add totals"),
        ('git add . && git commit -m "Add totals" -m "More"', "Committed: Add totals"),
        ("git commit -m \"$(cat <<'EOF'\nAdd totals\n\nBody\nEOF\n)\"", "Committed: Add totals"),
        ("npm install left-pad", "Ran `npm install left-pad`."),
        ("alembic upgrade head && python manage.py migrate", "Ran `python manage.py migrate`."),
        ("sudo apt-get -y install jq", "Ran `apt-get -y install jq`."),
    ],
)
def test_what_a_command_did_to_the_world(distillery: Distillery, command: str, fact: str) -> None:
    assert fact in facts(distillery, ran(command))


def test_every_editing_tool_is_read(distillery: Distillery) -> None:
    draft = observe(
        distillery,
        edited("a.py", "x = 1", "x = 2"),
        tool(
            "MultiEdit",
            {
                "file_path": f"{ROOT}/b.py",
                "edits": [{"old_string": "def f():\n    a", "new_string": "def f():\n    b"}],
            },
            {"filePath": f"{ROOT}/b.py"},
        ),
        tool(
            "NotebookEdit",
            {"notebook_path": f"{ROOT}/n.ipynb", "new_source": "a\nb", "edit_mode": "insert"},
            {},
        ),
        written("c.py", "class Thing:\n    def go(self):\n        pass\n"),
        tool(
            "Bash",
            {"command": "sed -i s/a/b/ d.py"},
            {"stdout": "", "bashEditDiff": {"changedFiles": [f"{ROOT}/d.py", f"{ROOT}/__pycache__/d.pyc"]}},
        ),
    )[0]
    assert draft.files_modified == ("a.py", "b.py", "n.ipynb", "c.py", "d.py")
    assert "a.py: +1 −1: `x = 1` → `x = 2`" in draft.facts
    assert "b.py: +1 −1 in f: `a` → `b`" in draft.facts
    assert "n.ipynb: +2 −0" in draft.facts
    assert "c.py: new file, 3 lines (Thing)" in draft.facts
    assert "d.py: changed by a command" in draft.facts


@pytest.mark.parametrize(
    ("path", "lines", "symbol"),
    [
        ("a.py", ["class A:", "    def go(self):", "        pass", "-x"], "A.go"),
        (
            "a.ts",
            ["export class Cart {", "  async total(code: string): Promise<number> {", "    return 1;", "-x"],
            "Cart.total",
        ),
        ("a.ts", ["export const total = async (code: string) => {", "  return 1;", "-x"], "total"),
        ("a.go", ["func (s *Store) Add(t Task) error {", "\treturn nil", "-x"], "Add"),
        ("a.rs", ["impl Ring {", "    pub fn push(&mut self, v: f64) {", "        self.n += 1;", "-x"], "Ring.push"),
        ("a.c", ["double ring_mean(const struct ring *ring) {", "    double sum = 0;", "-x"], "ring_mean"),
        (
            "a.java",
            ["public class Cart {", "    public int total(String code) {", "        return 1;", "-x"],
            "Cart.total",
        ),
        ("a.rb", ["module Shop", "  def total(code)", "    1", "-x"], "Shop.total"),
        ("a.sql", ["CREATE TABLE IF NOT EXISTS carts (", "    id bigint,", "-x"], "carts"),
        ("Makefile", ["test: build", "\tpytest", "-x"], "test"),
        ("a.md", ["## How to run", "-x"], "How to run"),
        ("pyproject.toml", ["[tool.ruff]", "-x"], "tool.ruff"),
    ],
)
def test_a_change_is_placed_in_its_definition(distillery: Distillery, path: str, lines: list[str], symbol: str) -> None:
    above = lines[:-1]
    indent = above[-1][: len(above[-1]) - len(above[-1].lstrip())]
    hunk = {"oldStart": len(above) + 1, "lines": [f"-{indent}old value", f"+{indent}new value"]}
    event = tool(
        "Edit",
        {"file_path": f"{ROOT}/{path}", "old_string": "old value", "new_string": "new value"},
        {"structuredPatch": [hunk], "originalFile": "\n".join([*above, f"{indent}old value"])},
    )
    assert f"{path}: +1 −1 in {symbol}" in facts(distillery, event)


def test_reports_of_subagents_are_kept_once(distillery: Distillery) -> None:
    report = "The cache in `cache.py` is never emptied, so it grows with every request."
    draft = only(
        distillery,
        asked("find the leak"),
        ("SubagentStop", {"agent_type": "Explore", "last_assistant_message": report}),
        tool(
            "Task",
            {"description": "Look at caches", "prompt": "p", "subagent_type": "Explore"},
            {"content": [{"type": "text", "text": report}]},
        ),
        answered("The cache never empties. I have not changed anything."),
    )
    assert [fact for fact in draft.facts if "Subagent" in fact] == [f"Subagent “Look at caches” reported: {report}"]


def test_searching_the_web_and_other_servers_is_told(distillery: Distillery) -> None:
    told = facts(
        distillery,
        asked("which status code"),
        tool("WebFetch", {"url": "https://example.com/rfc", "prompt": "status codes"}, {"result": "410 is gone"}),
        tool("WebSearch", {"query": "webhook 410 gone"}, {"results": []}),
        tool("mcp__github__create_issue", {"title": "Retry on 410"}, [{"type": "text", "text": "created #12"}]),
        answered("Status 410 means that the subscription should be removed, so I opened an issue for it."),
    )
    assert "Consulted: https://example.com/rfc, webhook 410 gone" in told
    assert "github create_issue(title=Retry on 410): created #12" in told


def test_a_decision_beside_other_work_stands_apart(distillery: Distillery) -> None:
    main, decision = observe(
        distillery,
        asked("Add a queue"),
        written("queue.py", "class Queue:\n    pass\n"),
        answered(
            "Added a queue in `queue.py`. I decided to use a table instead of a broker, because one is there already."
        ),
    )
    assert (main.kind, decision.kind) == ("feature", "decision")
    assert decision.title == "Use a table instead of a broker"
    assert "because one is there already" in decision.narrative
    assert not any("broker" in fact for fact in main.facts)


@pytest.mark.parametrize(
    ("payload", "title", "words"),
    [
        ({"tool": "Bash", "text": "Deployed version 4 to staging."}, "Bash: Deployed version 4 to staging", "Deployed"),
        ({"title": "Cache fixed", "content": "The cache was never emptied."}, "Cache fixed", "never emptied"),
        (
            {"message": {"role": "user", "content": "We ship on Fridays now."}},
            "note: We ship on Fridays now",
            "Fridays",
        ),
        ({"a": {"b": ["only this string is here"]}}, "note: only this string is here", "only this string"),
        ({"path": "/home/dev/shop/a.py"}, "note: a.py", ""),
        ({"text": "日本語のメモです。とても大事です。"}, "note: 日本語のメモです", "とても大事です"),
        ({"text": "x"}, "note: x", "x"),
        ({"count": 3}, "note: 3", "3"),
    ],
)
def test_an_event_of_a_plain_client_becomes_an_observation(
    distillery: Distillery, payload: dict[str, object], title: str, words: str
) -> None:
    draft = only(distillery, ("note", payload))
    assert draft.title == title
    assert words in draft.narrative
    assert draft.kind in distillery.observations.KINDS


def test_a_plain_clients_kind_fields_and_files_are_kept(distillery: Distillery) -> None:
    payload: dict[str, object] = {
        "type": "security",
        "title": "Token in a log",
        "text": "The access log held bearer tokens.",
        "severity": "high",
        "files": ["/home/dev/shop/log.py", "b.py"],
    }
    draft = only(distillery, ("finding", payload))
    assert (draft.kind, draft.title) == ("security", "Token in a log")
    assert draft.files_read == ("log.py", "b.py")
    assert "severity: high" in draft.facts


@pytest.mark.parametrize("payload", [{}, {"a": None, "b": True, "c": []}, {"text": "  "}])
def test_an_event_without_any_text_leaves_nothing(distillery: Distillery, payload: dict[str, object]) -> None:
    assert observe(distillery, ("note", payload)) == ()


def test_equal_events_of_plain_clients_are_one(distillery: Distillery) -> None:
    event: Event = ("note", {"text": "The same note twice."})
    assert len(observe(distillery, event, event)) == 1


def test_a_single_tool_event_is_enough(distillery: Distillery) -> None:
    draft = only(distillery, edited("cart.py", "round(x)", "to_cents(x)"))
    assert draft.title == "Edit cart.py"
    assert draft.files_modified == ("cart.py",)


def test_a_summary_says_what_is_left(distillery: Distillery) -> None:
    todos = [{"content": "write the docs", "status": "pending"}, {"content": "fix it", "status": "completed"}]
    draft = distillery.extractive.summarise(
        distillery.material(
            asked("Fix the totals and document them"),
            tool("TodoWrite", {"todos": todos}, {}),
            edited("cart.py", "round(x)", "to_cents(x)"),
            failed("make lint", "Exit code 1\ncart.py:3:1: F401 unused import"),
            answered("Totals are right now. The README still needs an example."),
        )
    )
    assert draft.title == "Fix the totals and document them"
    assert draft.kind == "summary"
    assert draft.metadata["completed"].startswith("Totals are right now.")
    for words in ("`make lint` fails: cart.py:3:1: F401", "still needs an example", "Planned: write the docs"):
        assert words in draft.metadata["next_steps"]
    assert "fix it" not in draft.metadata["next_steps"].lower()


def test_a_session_that_was_only_compacted_keeps_what_that_said(distillery: Distillery) -> None:
    text = (
        "<summary>\n1. Primary Request and Intent:\n   Make the totals right.\n\n2. Pending Tasks:\n   - "
        "Write the docs for it\n</summary>"
    )
    draft = distillery.extractive.summarise(distillery.material(("PostCompact", {"compact_summary": text})))
    assert draft.metadata["request"] == "Make the totals right."
    assert draft.metadata["next_steps"] == "Write the docs for it."


@pytest.mark.parametrize(
    "events",
    [[], [("SessionStart", {}), ("SessionEnd", {})], [asked("hi"), answered("Hello!")]],
)
def test_a_session_without_work_has_no_summary(distillery: Distillery, events: list[Event]) -> None:
    assert distillery.extractive.summarise(distillery.material(*events)) is None


ODD: list[object] = [None, 0, 1.5, True, "", "x", [], [None], {}, {"a": 1}, [["x"]], "\ud800", "x" * 3000]


@pytest.mark.parametrize("odd", ODD, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("session", ["bug-hunt", "feature", "subagents-and-compaction"])
def test_no_wrong_value_anywhere_breaks_generation(session: str, odd: object) -> None:
    distillery = Distillery("server_beta")

    def replaced(value: object, at: list[int]) -> object:
        """Replace every third value, members and items alike."""
        at[0] += 1
        if at[0] % 3 == 0:
            return odd
        if isinstance(value, dict):
            return {key: replaced(member, at) for key, member in value.items()}
        return [replaced(item, at) for item in value] if isinstance(value, list) else value

    events: list[Event] = []
    for offset in range(3):
        for line in recorded(session):
            payload = {
                key: replaced(value, [offset + number]) for number, (key, value) in enumerate(line["input"].items())
            }
            events.append((line["event"], payload))
    material = distillery.material(*events)
    for draft in distillery.extractive.observe(material):
        assert draft.title
    distillery.extractive.summarise(material)


LONG = 64 * 1024


@pytest.mark.parametrize(
    "text",
    [
        "a " * (LONG // 2),
        "a" * LONG,
        "# " + " x" * (LONG // 2),
        "|" * LONG,
        " " * LONG + "x",
        "*" * LONG,
        "[" * LONG,
        "E " * (LONG // 2),
        "npm " * (LONG // 4),
        "error " * (LONG // 6),
        "a.b" * (LONG // 3),
        "= " * (LONG // 2),
        "'\"" * (LONG // 2),
        "`" * LONG,
        "(" * LONG,
        "\n" * LONG,
        "def f(" * (LONG // 6),
        "git -c " * (LONG // 7),
        "because " * (LONG // 8),
        "<a></a>" * (LONG // 7),
    ],
    ids=lambda text: repr(text[:8]),
)
def test_the_longest_field_of_any_shape_ends_soon(text: str) -> None:
    distillery = Distillery("server_beta")
    hunk = {"oldStart": 5, "lines": [f" {text[:500]}", f"-{text}", f"+{text}"]}
    material = distillery.material(
        asked(text),
        ran(text, text, text),
        ran("npm test", text),
        failed("pytest", f"Exit code 1\n{text}"),
        tool(
            "Edit",
            {"file_path": text[:100], "old_string": text, "new_string": text},
            {"structuredPatch": [hunk], "originalFile": text},
        ),
        tool("Write", {"file_path": "a.py", "content": text}, {"type": "create"}),
        tool("Agent", {"description": text}, text),
        ("PostCompact", {"compact_summary": text}),
        ("note", {"text": text}),
        answered(text),
    )
    begin = time.process_time()
    drafts = distillery.extractive.observe(material)
    distillery.extractive.summarise(material)
    # Each of them takes well under a second of CPU; a pattern that looks back would take minutes.
    assert time.process_time() - begin < 10
    assert all(len(draft.title) <= 100 and len(draft.narrative) <= 1300 for draft in drafts)


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_the_provider_answers_with_values(runtime: str) -> None:
    distillery = Distillery(runtime)
    provider = distillery.extractive.ExtractiveProvider()
    nothing = distillery.material(asked("hi"), answered("Hello!"))
    something = distillery.material(edited("a.py", "x", "y"))
    assert provider.name == "extractive"
    assert (await provider.observe(nothing)).drafts == ()
    assert (await provider.summarise(nothing)).drafts == ()
    assert len((await provider.observe(something)).drafts) == 1
    assert len((await provider.summarise(something)).drafts) == 1
