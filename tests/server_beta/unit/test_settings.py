"""Settings of server-beta: what wins, what is refused, what Redis is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from server_beta.domain.errors import InvalidSettings
from server_beta.domain.jobs import Lane
from server_beta.settings import Settings


def _settings(data_dir: Path, overrides: str = "", **environment: str) -> Settings:
    if overrides:
        data_dir.joinpath("settings.json").write_text(overrides, "utf-8")
    return Settings.from_env({"CLAUDE_MEM_DATA_DIR": str(data_dir), **environment})


def test_nothing_needs_to_be_set(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert (settings.host, settings.port, settings.provider) == ("127.0.0.1", 37877, "extractive")
    assert settings.uses_embedded_postgres
    assert settings.redis_url is None
    assert set(settings.lane_concurrency.values()) == {1}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    overrides = '{"CLAUDE_MEM_SERVER_PORT": 5000, "CLAUDE_MEM_LOG_LEVEL": "debug"}'
    settings = _settings(tmp_path, overrides, CLAUDE_MEM_SERVER_PORT="6000")
    assert (settings.port, settings.log_level) == (6000, "debug")


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"REDIS_URL": "redis://a"}, None),
        ({"CLAUDE_MEM_QUEUE_ENGINE": "bullmq", "REDIS_URL": "redis://a"}, "redis://a"),
        ({"CLAUDE_MEM_QUEUE_ENGINE": "bullmq"}, None),
        ({"CLAUDE_MEM_REDIS_URL": "redis://b"}, "redis://b"),
        (
            {"CLAUDE_MEM_REDIS_URL": "redis://b", "CLAUDE_MEM_QUEUE_ENGINE": "bullmq", "REDIS_URL": "redis://a"},
            "redis://b",
        ),
    ],
)
def test_the_redis_of_another_program_is_used_only_where_bullmq_was_asked_for(
    tmp_path: Path, environment: dict[str, str], url: str | None
) -> None:
    assert _settings(tmp_path, **environment).redis_url == url


def test_each_lane_has_a_concurrency_of_its_own(tmp_path: Path) -> None:
    settings = _settings(tmp_path, CLAUDE_MEM_QUEUE_CONCURRENCY_EVENT_BATCH="8")
    assert settings.lane_concurrency[Lane.EVENT_BATCH] == 8
    assert settings.lane_concurrency[Lane.EVENT] == 1


@pytest.mark.parametrize(
    "overrides",
    ["{", "[]", '{"CLAUDE_MEM_SERVER_HOST": {}}', '{"CLAUDE_MEM_EXCLUDED_PROJECTS": {"a": 1}}', "\udcff"],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, overrides: str) -> None:
    tmp_path.joinpath("settings.json").write_bytes(overrides.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidSettings):
        _settings(tmp_path)


def test_public_names_are_listed_without_schemes(tmp_path: Path) -> None:
    named = _settings(tmp_path, CLAUDE_MEM_PUBLIC_HOSTS="mem.example.org, other.example:8443")
    assert named.public_hosts == ("mem.example.org", "other.example:8443")


@pytest.mark.parametrize("name", ["https://mem.example.org", "mem.example.org/", "*.example.org", "a b", ":80", "-a"])
def test_what_is_no_public_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidSettings, match="CLAUDE_MEM_PUBLIC_HOSTS"):
        _settings(tmp_path, CLAUDE_MEM_PUBLIC_HOSTS=name)


@pytest.mark.parametrize(("text", "limit"), [("", 0), ("0", 0), ("600", 600)])
def test_a_rate_limit_is_set_on_purpose(tmp_path: Path, text: str, limit: int) -> None:
    assert _settings(tmp_path, CLAUDE_MEM_RATE_LIMIT_PER_MIN=text).rate_limit_per_min == limit


@pytest.mark.parametrize("text", ["-1", "many", "1.5", "1000001"])
def test_a_rate_limit_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSettings, match="CLAUDE_MEM_RATE_LIMIT_PER_MIN"):
        _settings(tmp_path, CLAUDE_MEM_RATE_LIMIT_PER_MIN=text)


def test_secrets_do_not_show(tmp_path: Path) -> None:
    shown = repr(
        _settings(
            tmp_path,
            CLAUDE_MEM_SERVER_DATABASE_URL="postgresql://u:canary@h/d",
            CLAUDE_MEM_REDIS_URL="redis://:canary@h",
            CLAUDE_MEM_SERVER_API_KEY="canary",
        )
    )
    assert "canary" not in shown
