from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from worker.logs import write_logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:] = kept
    root.setLevel(level)
    logging.getLogger("worker").setLevel(logging.NOTSET)


def test_a_line_is_one_json_object_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs("info")
    logging.getLogger("worker.test").info("two\nlines", extra={"action": "tested", "jobs": 2})
    (line,) = capsys.readouterr().err.splitlines()
    written = json.loads(line)
    assert (written["event"], written["level"], written["action"], written["jobs"]) == (
        "two\nlines",
        "info",
        "tested",
        2,
    )


def test_an_error_is_named_and_its_text_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs("info")
    try:
        int("payload with a secret")
    except ValueError:
        logging.getLogger("worker.test").exception("it failed")
    written = capsys.readouterr().err
    assert json.loads(written)["error"] == "ValueError"
    assert json.loads(written)["trace"]
    assert "secret" not in written


def test_less_than_the_level_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs("warning")
    logging.getLogger("worker.test").info("small talk")
    assert capsys.readouterr().err == ""
