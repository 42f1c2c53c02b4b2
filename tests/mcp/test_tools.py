"""Each tool against both runtimes, which have learned from the events of real hooks."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.contract.runtimes import RUNTIMES, Address, running
from tests.mcp.client import HANDSHAKE, Program, call, checkout
from tests.support.processes import watched_data_dir
from tests.support.server import turn
from tests.support.waiting import eventually_sync

SHOP = "git:github.com/dev/shop"
BANK = "git:github.com/dev/bank"


@dataclass(frozen=True, slots=True)
class Lived:
    """A runtime with a past, and a client in the shop's checkout."""

    address: Address
    program: Program

    def get(self, path: str) -> Any:
        """Ask the runtime itself."""
        answer = self.address.ask("GET", path, {"Authorization": f"Bearer {self.address.key}"})
        assert answer.status == 200, answer
        return answer.json()

    def hook(self, event: str, body: dict[str, object], project: str) -> None:
        """Send what a hook sends."""
        headers = {
            "Authorization": f"Bearer {self.address.key}",
            "X-Claude-Mem-Event-Id": str(uuid.uuid4()),
            "X-Claude-Mem-Project": quote(project, safe=""),
            "X-Claude-Mem-Project-Name": project.rpartition("/")[2],
            "X-Claude-Mem-Project-Root": "/home/dev/shop",
        }
        answer = self.address.ask("POST", f"/v1/hooks/claude-code/{event}", headers, json.dumps(body).encode())
        assert answer.status == 201, answer

    def observations(self, project: str | None = None) -> list[dict[str, Any]]:
        """List what was learned, oldest first."""
        narrowed = f"&projectId={self.project_id(project)}" if project else ""
        found: list[dict[str, Any]] = self.get(f"/v1/observations?limit=200{narrowed}")["observations"]
        return found[::-1]

    def project_id(self, key: str) -> str:
        return str(self.get(f"/v1/projects?key={quote(key, safe='')}")["projects"][0]["id"])

    def is_done(self, sessions: int) -> bool:
        """Whether every session has its summary and nothing is left to generate."""
        summaries = self.get("/v1/observations?kind=summary")["observations"]
        jobs = self.get("/api/health")["jobs"]
        return len(summaries) == sessions and jobs["queued"] == jobs["processing"] == 0


@pytest.fixture(scope="module", params=sorted(RUNTIMES))
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = checkout(tmp_path_factory.mktemp("work") / "shop", "git@github.com:dev/shop.git")
    with watched_data_dir() as data_dir, running(RUNTIMES[request.param], data_dir) as address:
        lived = Lived(address, Program(request.param, data_dir, folder))
        for session, file, project in (("a", "cart.py", SHOP), ("b", "tax.py", SHOP), ("c", "vault.py", BANK)):
            for event, body in turn(session, f"p-{session}", file):
                lived.hook(event, body, project)
        eventually_sync(lambda: lived.is_done(3), 30)
        yield lived


def short(one: dict[str, Any]) -> str:
    return str(one["id"])[-8:]


def ids_in(text: str) -> list[str]:
    return re.findall(r"^[->] \[([0-9a-f]{8})\]", text, flags=re.MULTILINE)


def test_search_looks_in_the_project_of_the_working_folder(lived: Lived) -> None:
    text = lived.program.call("search", query="why was the total wrong?")
    found = ids_in(text)
    assert found
    assert set(found) <= {short(one) for one in lived.observations(SHOP)}
    assert text.splitlines()[0].startswith(f"{len(found)} observations in shop ({SHOP})")
    assert re.search(
        r"^- \[\w{8}\] \d{4}-\d\d-\d\d \d\d:\d\d bugfix: Fixed the total.*\((cart|tax)\.py\)$", text, re.MULTILINE
    )


def test_search_looks_elsewhere_when_told_so(lived: Lived) -> None:
    bank = {short(one) for one in lived.observations(BANK)}
    for name in (BANK, "bank"):
        assert set(ids_in(lived.program.call("search", query="total", project=name))) <= bank
    everywhere = lived.program.call("search", query="total", project="*", limit=100)
    assert set(ids_in(everywhere)) & bank
    assert set(ids_in(everywhere)) - bank
    assert " bank bugfix: " in everywhere
    assert " shop bugfix: " in everywhere


def test_search_is_narrowed(lived: Lived) -> None:
    summaries = {short(one) for one in lived.observations(SHOP) if one["kind"] == "summary"}
    assert set(ids_in(lived.program.call("search", query="total", kinds=["summary"]))) == summaries
    assert len(ids_in(lived.program.call("search", query="total", limit=1))) == 1
    for narrowed in ({"since": "2100-01-01"}, {"until": "2001-01-01"}, {"until": "2001-01-01T10:00:00+02:00"}):
        assert lived.program.call("search", query="total", **narrowed) == f"Nothing was found in shop ({SHOP})."
    assert ids_in(lived.program.call("search", query="total", since="2001-01-01", until="2100-01-01T00:00:00Z"))


def test_search_takes_an_id_for_a_question(lived: Lived) -> None:
    one = lived.observations(SHOP)[0]
    assert ids_in(lived.program.call("search", query=short(one)))[0] == short(one)


def test_search_gives_every_field_as_json(lived: Lived) -> None:
    found = json.loads(lived.program.call("search", query="total", format="json"))["observations"]
    assert {one["projectId"] for one in found} == {lived.project_id(SHOP)}
    assert all({"id", "kind", "title", "content", "score", "snippet", "createdAtEpoch"} <= one.keys() for one in found)


def test_a_project_that_is_not_there(lived: Lived, tmp_path: Path) -> None:
    assert "No project has the key or the name attic" in lived.program.refusal("search", query="x", project="attic")
    assert "No project" in lived.program.refusal("recent", project="attic")
    elsewhere = Program(lived.program.runtime, lived.program.data_dir, tmp_path)
    assert "nothing is recorded yet" in elsewhere.call("search", query="total")
    assert "nothing is recorded yet" in elsewhere.call("recent")
    assert elsewhere.call("search", query="total", project="*")
    told = Program(
        lived.program.runtime, lived.program.data_dir, tmp_path, {"CLAUDE_PROJECT_DIR": str(lived.program.folder)}
    )
    assert ids_in(told.call("search", query="total")) == ids_in(lived.program.call("search", query="total"))


def test_a_timeline_marks_its_anchor_amid_its_neighbours(lived: Lived) -> None:
    known = lived.observations(SHOP)
    anchor = known[2]
    text = lived.program.call("timeline", anchor=short(anchor), before=1, after=2)
    assert ids_in(text) == [short(one) for one in known[1:5]]
    assert re.findall(r"^> \[(\w+)\]", text, re.MULTILINE) == [short(anchor)]
    data = json.loads(lived.program.call("timeline", anchor=anchor["id"], before=0, after=0, format="json"))
    assert (data["anchorId"], [one["id"] for one in data["observations"]]) == (anchor["id"], [anchor["id"]])
    assert lived.program.refusal("timeline", anchor="00000000") == "There is no observation 00000000 here."


def test_observations_are_read_in_full(lived: Lived) -> None:
    first, second = lived.observations(SHOP)[0], lived.observations(BANK)[0]
    text = lived.program.call("get_observations", ids=[short(second), first["id"].upper(), "00000000"])
    for one in (first, second):
        assert one["content"].strip() in text
        assert f"[{short(one)}]" in text
    assert text.index(short(first)) < text.index(short(second))
    assert text.endswith("There are no observations with these ids: 00000000")
    data = json.loads(lived.program.call("get_observations", ids=[first["id"], "00000000"], format="json"))
    assert [one["id"] for one in data["observations"]] == [first["id"]]


def test_recent_is_the_page_that_a_session_starts_with(lived: Lived) -> None:
    page = lived.program.call("recent")
    assert page == lived.get(f"/v1/context/recent?projectId={lived.project_id(SHOP)}")["context"]
    assert page != lived.program.call("recent", project="bank")
    data = json.loads(lived.program.call("recent", format="json"))
    assert set(data["observationIds"]) <= {one["id"] for one in lived.observations(SHOP)}
    assert "one project" in lived.program.refusal("recent", project="*")


def test_what_the_page_names_can_be_read(lived: Lived) -> None:
    named = re.findall(r"\[([0-9a-f]{8})\]", lived.program.call("recent"))
    assert named
    assert "no observations with" not in lived.program.call("get_observations", ids=named)


def test_projects_are_listed_with_their_keys(lived: Lived) -> None:
    assert lived.program.call("list_projects").splitlines() == [f"- bank: {BANK}", f"- shop: {SHOP} (this folder's)"]
    data = json.loads(lived.program.call("list_projects", format="json"))
    assert [project["key"] for project in data["projects"]] == [BANK, SHOP]


def test_one_session_takes_many_calls_of_odd_text(lived: Lived) -> None:
    odd = ["\x00", "\ud800", "\u2028", '"', "NEAR(", "割引", "x" * 4000, "; DROP TABLE observations"]
    answers = lived.program.say(*HANDSHAKE, *(call("search", {"query": text, "project": "*"}) for text in odd))
    assert [answer["result"]["isError"] for answer in answers[1:]] == [False] * len(odd)


def test_a_key_that_is_of_no_use_is_told_with_its_place(lived: Lived) -> None:
    key = lived.address.data_dir / lived.address.runtime.key_file
    content = key.read_bytes()
    try:
        key.write_text("not the key\n")
        assert "holds no key" in lived.program.refusal("list_projects")
        key.write_text("cmem_not-the-key\n")
        assert "does not accept the key in" in lived.program.refusal("list_projects")
    finally:
        key.write_bytes(content)
    assert lived.program.call("list_projects")


def test_the_command_search_finds_the_same(lived: Lived) -> None:
    done = lived.program.run("search", "why", "was", "the", "total", "wrong?")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == lived.program.call("search", query="why was the total wrong?") + "\n"
    listed = lived.program.run("search", "total", "--project", "*", "--limit", "2", "--json")
    assert len(json.loads(listed.stdout)["observations"]) == 2
    nowhere = lived.program.run("search", "total", "--project", "attic")
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert nowhere.stderr == "No project has the key or the name attic; '*' stands for all.\n"
    for wrong in (("search",), ("search", "x", "--limit", "0"), ("search", "x", "--limit", "101")):
        assert lived.program.run(*wrong).returncode == 2
