"""The data folder is the one that platformdirs names, without importing it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from hooks.capture.settings import Settings, data_folder


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/home/dev"},
        {"HOME": "/home/dev", "XDG_DATA_HOME": "/srv/data"},
        {"HOME": "/home/dev", "XDG_DATA_HOME": ""},
        {"HOME": "/home/dev", "XDG_DATA_HOME": "relative/data"},
        {"HOME": "/home/dev/", "XDG_DATA_HOME": "/srv/data/"},
        {"XDG_DATA_HOME": "/srv/data"},
        {"HOME": "relative"},
        {"HOME": ""},
        {},
    ],
)
def test_the_data_folder_is_that_of_platformdirs(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    expected = platformdirs.user_data_dir("claude-mem", appauthor=False)
    assert Path(data_folder(environment)) == Path(expected)


def test_the_data_folder_of_macos_is_that_of_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    from platformdirs.macos import MacOS

    monkeypatch.setattr(sys, "platform", "darwin")
    for environment in ({"HOME": "/Users/dev"}, {"HOME": "/Users/dev", "XDG_DATA_HOME": "/srv/data"}):
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert data_folder(environment) == MacOS("claude-mem", appauthor=False).user_data_dir


def test_a_chosen_data_folder_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/dev")
    assert data_folder({"CLAUDE_MEM_DATA_DIR": " ~/mem "}) == "/home/dev/mem"
    assert data_folder({"CLAUDE_MEM_DATA_DIR": "mem"}) == str(tmp_path / "mem")


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    overrides = {"TEXT": " file ", "NUMBER": 5000, "LIST": ["a, b", " ", "c"], "ON": True, "OFF": False, "NULL": None}
    (tmp_path / "settings.json").write_text(json.dumps({**overrides, "OTHER": "file"}))
    settings = Settings({"CLAUDE_MEM_DATA_DIR": str(tmp_path), "OTHER": "environment", "TEXT": "", "WORDS": "a, ,b"})
    assert (settings.text("TEXT"), settings.text("OTHER"), settings.text("NULL")) == ("file", "environment", "")
    assert settings.number("NUMBER", 7) == 5000
    assert (settings.number("TEXT", 7), settings.number("NOTHING", 7)) == (7, 7)
    assert (settings.words("LIST"), settings.words("WORDS"), settings.words("NULL")) == (["a, b", "c"], ["a", "b"], [])
    assert (settings.flag("ON"), settings.flag("OFF"), settings.flag("NULL")) == (True, False, False)
    assert settings.problem == ""


def test_every_python_found_here_runs_the_hook(tmp_path: Path) -> None:
    hook = Path(__file__).resolve().parents[2] / "hooks" / "hook.py"
    found = {
        sys.executable,
        *(str(path) for path in Path("/usr/bin").glob("python3.[0-9]*") if path.name[9:].isdigit()),
    }
    for python in sorted(found):
        version = [python, "-I", "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 9))"]
        if subprocess.run(version, check=False).returncode == 0:
            data = tmp_path / Path(python).name
            environment = {"CLAUDE_MEM_DATA_DIR": str(data), "CLAUDE_PROJECT_DIR": str(tmp_path)}
            done = subprocess.run(
                [python, "-I", "-S", str(hook), "Stop"], input=b"{}", capture_output=True, check=True, env=environment
            )
            assert (done.stdout, done.stderr) == (b"", b"")
            assert len(list((data / "spool/worker").glob("*.http"))) == 1
