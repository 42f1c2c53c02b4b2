from __future__ import annotations

import stat
from pathlib import Path

import pytest

from worker.domain.errors import Forbidden, StartRefused, Unauthorized
from worker.services.local_token import TOKEN_FILE, ensure_token


def test_a_token_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    first = ensure_token(tmp_path)
    assert stat.S_IMODE(tmp_path.joinpath(TOKEN_FILE).stat().st_mode) == 0o600
    assert ensure_token(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == [TOKEN_FILE]


def test_two_folders_have_two_tokens(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert ensure_token(tmp_path).token != ensure_token(other).token


@pytest.mark.parametrize("content", ["", "short", "two words of a token that is long enough", "\x00" * 50])
def test_a_token_that_cannot_be_used_is_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / TOKEN_FILE
    path.write_text(content)
    path.chmod(0o600)
    assert len(ensure_token(tmp_path).token) >= 40


def test_a_token_that_others_could_read_is_replaced(tmp_path: Path) -> None:
    first = ensure_token(tmp_path)
    tmp_path.joinpath(TOKEN_FILE).chmod(0o644)
    assert ensure_token(tmp_path) != first
    assert stat.S_IMODE(tmp_path.joinpath(TOKEN_FILE).stat().st_mode) == 0o600


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("x" * 43)
    target.chmod(0o600)
    tmp_path.joinpath(TOKEN_FILE).symlink_to(target)
    assert ensure_token(tmp_path).token != "x" * 43
    assert target.read_text() == "x" * 43


def test_a_folder_that_cannot_be_written_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match=r"\.worker\.token"):
        ensure_token(tmp_path / "missing")


def test_only_the_token_is_admitted(tmp_path: Path) -> None:
    token = ensure_token(tmp_path)
    token.admit(token.token)
    for nothing in (None, ""):
        with pytest.raises(Unauthorized):
            token.admit(nothing)
    for wrong in (token.token + "x", token.token[:-1], "é", "\udc80"):
        with pytest.raises(Forbidden):
            token.admit(wrong)
