from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.domain.errors import InvalidSettings
from worker.settings import Settings


def _env(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"CLAUDE_MEM_DATA_DIR": str(tmp_path), "HOME": "/home/dev", **more}


def test_the_defaults(tmp_path: Path) -> None:
    settings = Settings.from_env(_env(tmp_path))
    assert (settings.host, settings.port, settings.provider) == ("127.0.0.1", 37777, "extractive")
    assert settings.context_files
    assert not settings.generation_disabled


def test_the_environment_is_over_the_file_over_the_defaults(tmp_path: Path) -> None:
    overrides = {"CLAUDE_MEM_WORKER_PORT": 4000, "CLAUDE_MEM_LOG_LEVEL": "debug", "CLAUDE_MEM_CONTEXT_FILES": False}
    tmp_path.joinpath("settings.json").write_text("\ufeff" + json.dumps(overrides), "utf-8")
    settings = Settings.from_env(_env(tmp_path, CLAUDE_MEM_WORKER_PORT="5000"))
    assert (settings.port, settings.log_level, settings.context_files) == (5000, "debug", False)


def test_lists_come_from_text_or_from_json(tmp_path: Path) -> None:
    tmp_path.joinpath("settings.json").write_text(json.dumps({"CLAUDE_MEM_SKIP_TOOLS": ["Read", "Glob"]}))
    settings = Settings.from_env(_env(tmp_path, CLAUDE_MEM_EXCLUDED_PROJECTS="~/private, /srv/*"))
    assert settings.skip_tools == ("Read", "Glob")
    assert settings.excluded_projects == ("/home/dev/private", "/srv/*")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLAUDE_MEM_WORKER_PORT", "many"),
        ("CLAUDE_MEM_WORKER_PORT", "65536"),
        ("CLAUDE_MEM_WORKER_HOST", "0.0.0.0"),
        ("CLAUDE_MEM_WORKER_HOST", "example.test"),
        ("CLAUDE_MEM_PROVIDER", "oracle"),
        ("CLAUDE_MEM_GENERATION_DISABLED", "perhaps"),
        ("CLAUDE_MEM_LOG_LEVEL", "loud"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        Settings.from_env(_env(tmp_path, **{name: value}))


@pytest.mark.parametrize(
    "overrides",
    [
        {"CLAUDE_MEM_WORKER_PORT": [37777]},
        {"CLAUDE_MEM_LOG_LEVEL": {"worker": "debug"}},
        {"CLAUDE_MEM_EXCLUDED_PROJECTS": {"/srv/private": True}},
    ],
)
def test_a_value_of_the_wrong_kind_is_not_taken_for_none(tmp_path: Path, overrides: dict[str, object]) -> None:
    tmp_path.joinpath("settings.json").write_text(json.dumps(overrides))
    with pytest.raises(InvalidSettings, match=next(iter(overrides))):
        Settings.from_env(_env(tmp_path))


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_settings_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes) -> None:
    tmp_path.joinpath("settings.json").write_bytes(content)
    with pytest.raises(InvalidSettings, match=r"settings\.json"):
        Settings.from_env(_env(tmp_path))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_every_loopback_address_will_do(tmp_path: Path, host: str) -> None:
    assert Settings.from_env(_env(tmp_path, CLAUDE_MEM_WORKER_HOST=host)).host == host
