"""What the API does is what its description says: tried with generated requests, good and bad, on every operation.

`CLAUDE_MEM_FUZZ_EXAMPLES` sets how many requests each operation gets beside those that its schema calls for
(`make fuzz`); beyond the usual number they differ from run to run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server_beta.http.authored import NewObservation, ObservationChange
from server_beta.http.fields import ExactlyOne
from server_beta.http.keys import KeyBody
from server_beta.http.legacy import InitBody, SummarizeBody, ToolBody
from server_beta.http.openapi import describe
from server_beta.http.projects import ProjectBody
from server_beta.http.route import EVENT_STREAM, Route
from server_beta.http.routes import ROUTES
from server_beta.http.sessions import SessionBody
from tests.server_beta.api.conftest import Api
from tests.server_beta.api.samples import KINDS, id_kind, name_of, noun_before, places
from tests.server_beta.api.world import Home

USUAL_EXAMPLES = 12
EXAMPLES = int(os.environ.get("CLAUDE_MEM_FUZZ_EXAMPLES", USUAL_EXAMPLES))

DELETING = [name_of(route) for route in ROUTES if route.method == "DELETE"]

# Good requests of these may be refused for what no schema can tell, which is:
UNTOLD: dict[Any, str] = {
    NewObservation: "private text is cut first, and what is left may be nothing",
    ObservationChange: "private text is cut first, and what is left may be nothing",
    KeyBody: "a key expires in the future",
    **dict.fromkeys(
        (ProjectBody, SessionBody, InitBody, ToolBody, SummarizeBody), "nothing may be left of a project's key, too"
    ),
    dict[str, object]: "what a hook's input must hold differs with its event",
}


def is_beyond_schemas(route: Route) -> bool:
    """Whether a good request may be refused: for what UNTOLD says, or because a parameter came from an answer."""
    shape = route.shape()
    members = set() if shape.query is None else set(shape.query.__struct_encode_fields__)
    is_one_of_two = isinstance(shape.query, type) and issubclass(shape.query, ExactlyOne)
    return shape.body in UNTOLD or is_one_of_two or "cursor" in members or bool(route.headers)


def configuration(home: Home, doomed: Mapping[str, Home]) -> str:
    """Write what schemathesis has to know of each operation; what deletes has a home of its own to do it in."""
    lines: list[str] = []
    for noun in sorted(set(KINDS.values())):
        lines += [f"[dictionaries.{noun}]", f'values = ["{home.ids[noun]}"]']
    for route in ROUTES:
        told = [f'parameters."{place}" = {value}' for place, value in _ids(route, doomed.get(name_of(route), home))]
        if is_beyond_schemas(route):
            told.append("checks.positive_data_acceptance.enabled = false")
        if route.content_type == EVENT_STREAM:
            told.append("request-timeout = 0.3")
        if told:
            lines += ["[[operations]]", f"include-name = {json.dumps(name_of(route))}", *told]
    return "\n".join(lines)


def _ids(route: Route, home: Home) -> Iterator[tuple[str, str]]:
    shape = route.shape()
    for name, kind in shape.path.items():
        if (noun := id_kind(kind, noun_before(route, name))) is not None:
            # Ids that came in answers are tried, too; a key's could be that of the key these requests are sent with.
            is_fixed = noun == "key" or route.method == "DELETE"
            yield f"path.{name}", f'"{home.ids[noun]}"' if is_fixed else _now_and_then(noun)
    for at, name, kind in places(shape.query):
        if (noun := id_kind(kind, name)) is not None:
            yield f"query.{at[0]}", _now_and_then(noun)


def _now_and_then(noun: str) -> str:
    return f'{{ dictionary = "{noun}", probability = 0.5 }}'


@dataclass(frozen=True, slots=True)
class Run:
    """What schemathesis printed, and its report."""

    output: str
    report: dict[str, Any]


@pytest.fixture(scope="module")
def homes(generating_api: Api) -> list[Home]:
    return generating_api.team("lasting", *DELETING)


@pytest.fixture(scope="module")
def run(generating_api: Api, homes: list[Home], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run schemathesis once."""
    folder = tmp_path_factory.mktemp("schemathesis")
    doomed = dict(zip(DELETING, homes[1:], strict=True))
    folder.joinpath("config.toml").write_text(configuration(homes[0], doomed))
    folder.joinpath("openapi.json").write_text(json.dumps(describe(ROUTES)))
    port, key = generating_api.server.port, homes[0].keys["admin"].text
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", "config.toml", "run"]
    command += ["openapi.json", "--url", f"http://127.0.0.1:{port}", "--header", f"Authorization: Bearer {key}"]
    command += ["--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES), "--suppress-health-check", "all"]
    command += ["--continue-on-failure", "--no-color"]
    command += ["--report", "json", "--report-json-path", "report.json"]
    command += ["--generation-deterministic"] if EXAMPLES <= USUAL_EXAMPLES else []
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    report = folder / "report.json"
    assert report.exists(), done.stdout + done.stderr
    return Run(done.stdout[-50_000:], json.loads(report.read_text()))


def test_nothing_is_found(run: Run) -> None:
    found = [(one["title"], one["operations"]) for one in run.report["failures"]]
    assert (found, run.report["errors"], run.report["complete"]) == ([], [], True), run.output


def test_what_may_be_refused_is_what_somebody_sends() -> None:
    assert set(UNTOLD) <= {route.shape().body for route in ROUTES}


def test_every_operation_was_tried(run: Run) -> None:
    operations = run.report["operations"]
    assert (operations["tested"], operations["errored"], operations["skipped"]) == (len(ROUTES), 0, 0)
    assert run.report["test_cases"]["generated"] > 40 * len(ROUTES)


def test_some_good_requests_of_every_operation_were_accepted(run: Run) -> None:
    accepted = {
        name: sum(phase["accepted"] for phase in phases.values()) for name, phases in run.report["valid_rates"].items()
    }
    assert accepted.keys() >= {name_of(route) for route in ROUTES}
    assert [name for name, count in accepted.items() if not count] == []


def test_the_key_lasted(generating_api: Api, homes: list[Home], run: Run) -> None:
    with generating_api.client(homes[0].keys["admin"]) as client:
        assert client.ask("GET", "/v1/connect").status == 200
