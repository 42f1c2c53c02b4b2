"""Which project an event belongs to, and which folders are left alone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote

import pytest

from hooks.capture.event import percent_decoded, percent_encoded
from hooks.capture.exclusion import is_excluded, matches
from hooks.capture.project import find_project, normalised_remote
from tests.hooks.client import SESSION_ID, HookClient, Spooled


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        ("https://github.com/owner/repo.git", "github.com/owner/repo"),
        ("https://GitHub.com/Owner/Repo", "github.com/Owner/Repo"),
        ("https://user:token@github.com:443/owner/repo.git/", "github.com/owner/repo"),
        ("http://github.com/owner/repo/", "github.com/owner/repo"),
        ("git@github.com:owner/repo.git", "github.com/owner/repo"),
        ("GITHUB.com:owner/repo", "github.com/owner/repo"),
        ("ssh://git@github.com:22/owner/repo.git", "github.com/owner/repo"),
        ("git+ssh://git@github.com/owner/repo", "github.com/owner/repo"),
        ("git://github.com/owner/repo.git", "github.com/owner/repo"),
        ("git@host:/srv/group/repo.git", "host/srv/group/repo"),
        ("ssh://[2001:db8::1]:22/owner/repo", "[2001:db8::1]/owner/repo"),
        ("https://user:p@ss@host/owner/repo", "host/owner/repo"),
        ("https://host/owner/repo.git?x=token#y", "host/owner/repo"),
        ("/srv/repo.git", ""),
        ("../repo", ""),
        ("file:///srv/repo.git", ""),
        ("C:\\work\\repo", ""),
        ("https://host", ""),
        ("https:///owner/repo", ""),
        ("", ""),
    ],
)
def test_a_remote_is_the_same_however_it_is_written(url: str, normalised: str) -> None:
    assert normalised_remote(url) == normalised


def test_a_folder_without_git_is_named_by_its_path(tmp_path: Path) -> None:
    project = find_project(str(tmp_path))
    digest = hashlib.sha256(os.fsencode(tmp_path.resolve())).hexdigest()[:32]
    assert (project.key, project.name, project.root) == (f"path:{digest}", tmp_path.name, str(tmp_path.resolve()))


def test_a_symbolic_link_leads_to_the_same_project(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert find_project(str(tmp_path / "link")).key == find_project(str(tmp_path / "real")).key


def test_two_folders_of_one_name_are_two_projects(tmp_path: Path) -> None:
    (tmp_path / "a/shop").mkdir(parents=True)
    (tmp_path / "b/shop").mkdir(parents=True)
    _git(tmp_path / "a/shop", "init")
    _git(tmp_path / "b/shop", "init")
    one, other = find_project(str(tmp_path / "a/shop")), find_project(str(tmp_path / "b/shop"))
    assert one.name == other.name == "shop"
    assert one.key != other.key


def test_a_checkout_is_known_by_its_remote_from_any_folder_in_it(tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    _git(tmp_path, "init")
    _git(tmp_path, "remote", "add", "upstream", "https://example.org/first/one.git")
    assert find_project(str(tmp_path)).key == "git:example.org/first/one"
    _git(tmp_path, "remote", "add", "origin", "git@github.com:owner/my repo.git")
    project = find_project(str(tmp_path / "deep/er"))
    assert (project.key, project.name, project.root) == ("git:github.com/owner/my%20repo", "my repo", str(tmp_path))


@pytest.mark.parametrize("has_remote", [True, False])
def test_worktrees_share_the_project_but_not_the_root(tmp_path: Path, has_remote: bool) -> None:
    main, worktree = tmp_path / "main", tmp_path / "tree"
    main.mkdir()
    _git(main, "init")
    if has_remote:
        _git(main, "remote", "add", "origin", "https://github.com/owner/repo")
    _git(main, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "x")
    _git(main, "worktree", "add", str(worktree))
    one, other = find_project(str(main)), find_project(str(worktree))
    assert one.key == other.key
    assert one.name == other.name
    assert (one.root, other.root) == (str(main), str(worktree))
    assert other.main_root == str(main)


def test_a_submodule_is_a_project_of_its_own(tmp_path: Path) -> None:
    module, outer = tmp_path / "module", tmp_path / "outer"
    for folder in (module, outer):
        folder.mkdir()
        _git(folder, "init")
        _git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "x")
    _git(outer, "-c", "protocol.file.allow=always", "submodule", "add", str(module), "inner")
    inner = find_project(str(outer / "inner"))
    assert inner.root == str(outer / "inner")
    assert inner.key != find_project(str(outer)).key
    _git(outer / "inner", "remote", "set-url", "origin", "https://github.com/owner/module")
    assert find_project(str(outer / "inner")).key == "git:github.com/owner/module"


@pytest.mark.parametrize(
    "config",
    [
        '[remote "origin"]\n\turl = "https://h/o/r"  ; c\n',
        '[Remote "origin"]\n  URL=https://h/o/r # c\n',
        '[remote "x"]\n\turl = https://h/x/x\n# [remote "y"]\n[remote "origin"]\n\t#url = no\n\turl = https://h/o/r\n',
        '[branch "origin"]\n\turl = no\n[remote "origin"]\n\tfetch = +refs\n\turl = https://h/o/r\n\tpushurl = no',
    ],
)
def test_the_ways_to_write_a_configuration(tmp_path: Path, config: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text(config)
    assert find_project(str(tmp_path)).key == "git:h/o/r"


@pytest.mark.parametrize("content", ["", "gitdir:", "gitdir: /nowhere/at/all", "\0" * 50])
def test_a_broken_git_file_is_survived(client: HookClient, content: str) -> None:
    (client.project / ".git").write_text(content)
    client.run("Stop")
    assert Spooled.read(client.spooled()[0]).headers["x-claude-mem-project"].startswith("path:")


def test_the_project_is_looked_up_once_a_session(client: HookClient) -> None:
    client.run("SessionStart")
    before = Spooled.read(client.spooled()[0]).headers
    _git(client.project, "init")
    _git(client.project, "remote", "add", "origin", "https://github.com/owner/repo")
    client.run("Stop")
    client.run("SessionStart")
    client.run("Stop", {"session_id": "another"})
    keys = [Spooled.read(path).headers["x-claude-mem-project"] for path in client.spooled()]
    assert keys == [before["x-claude-mem-project"]] * 2 + ["git:github.com/owner/repo"] * 2


def test_the_project_folder_counts_and_not_where_the_model_went(client: HookClient, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    client.run("Stop", {"cwd": str(elsewhere)})
    client.run("Stop", {"cwd": str(elsewhere), "session_id": "b"}, without=("CLAUDE_PROJECT_DIR",))
    roots = [Spooled.read(path).headers["x-claude-mem-project-root"] for path in client.spooled()]
    assert roots == [str(client.project), str(elsewhere)]


@pytest.mark.parametrize("session_id", ["../../etc/x", "", ".", "a/b", "x" * 500, "a\nb", "\ud800"])
def test_a_session_id_that_is_no_file_name_names_no_file(client: HookClient, session_id: str) -> None:
    client.run("Stop", {"session_id": session_id})
    assert len(client.spooled()) == 1
    assert not (client.data / "sessions").exists()


def test_names_and_paths_of_any_kind_fit_into_headers(client: HookClient) -> None:
    strange = client.project.parent / "pro\nject é漢 %41\udcff"
    strange.mkdir()
    client.run("Stop", {"cwd": "/"}, CLAUDE_PROJECT_DIR=str(strange))
    headers = Spooled.read(client.spooled()[0]).headers
    assert os.fsdecode(unquote(headers["x-claude-mem-project-root"], errors="surrogateescape")) == str(strange)
    assert percent_decoded(headers["x-claude-mem-project-name"]) == strange.name


def test_percent_encoding_goes_there_and_back() -> None:
    text = "".join(map(chr, range(1, 300))) + "\udc80"
    assert percent_decoded(percent_encoded(text)) == text
    assert percent_encoded(text).isascii()


def test_session_files_of_old_are_removed(client: HookClient) -> None:
    client.run("Stop", {"session_id": "old"})
    client.run("Stop", {"session_id": "young"})
    os.utime(client.data / "sessions/old", (time.time() - 31 * 86400,) * 2)
    client.run("SessionStart")
    assert sorted(path.name for path in (client.data / "sessions").iterdir()) == [SESSION_ID, "young"]


@pytest.mark.parametrize(
    ("text", "glob", "match"),
    [
        ("/a/b", "/a/b", True), ("/a/b", "/a/*", True), ("/a/b/c", "/a/*", True), ("/a", "/a/*", False),
        ("/a/b", "*b", True), ("/a/b", "*/b", True), ("/a/bb", "*/b", False), ("/a/b", "/?/b", True),
        ("/a/b", "/[ab]/b", True), ("/c/b", "/[ab]/b", False), ("/c/b", "/[!ab]/b", True), ("/c/b", "/[a-d]/b", True),
        ("/]/b", "/[]]/b", True), ("/[/b", "/[/b", True), ("/a", "*", True), ("", "*", True), ("", "", True),
        ("/a", "", False), ("/aab", "*aab", True), ("/aaab", "/*aab", True), ("/-", "/[a-]", True),
        ("/a", "/[!", False),
    ],
)  # fmt: skip
def test_globs(text: str, glob: str, match: bool) -> None:
    assert matches(text, glob) is match


def test_globs_take_no_exponential_time() -> None:
    assert not matches("a" * 3000, "*a" * 20 + "b")


@pytest.mark.parametrize(
    ("glob", "excluded"),
    [
        ("~/secret", True),
        ("~/sec*", True),
        ("~", True),
        ("*/secret", True),
        ("/", True),
        ("~/secret/", True),
        ("~/secret/inner/", True),
        ("~/secret/inner/deeper", False),
        ("~/secre", False),
        ("~/secret/other", False),
        ("secret", False),
    ],
)
def test_a_folder_excludes_its_children(glob: str, excluded: bool) -> None:
    assert is_excluded(["/home/dev/secret/inner"], [glob], "/home/dev") is excluded


@pytest.mark.parametrize("event", ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop"])
@pytest.mark.parametrize("setting", ["environment", "file"])
def test_nothing_of_an_excluded_project_is_kept_or_sent(client: HookClient, event: str, setting: str) -> None:
    client.data.mkdir()
    if setting == "environment":
        client.env["CLAUDE_MEM_EXCLUDED_PROJECTS"] = f"~/other , {client.project.parent}/proj*"
    else:
        settings = {"CLAUDE_MEM_EXCLUDED_PROJECTS": ["~/other", str(client.project)]}
        (client.data / "settings.json").write_text(json.dumps(settings))
    before = sorted(client.data.rglob("*"))
    assert client.run(event).out == b""
    assert sorted(client.data.rglob("*")) == before


def test_exclusion_follows_home_links_worktrees_and_the_models_steps(client: HookClient, tmp_path: Path) -> None:
    client.env["CLAUDE_MEM_EXCLUDED_PROJECTS"] = "~/secret"
    secret = client.home / "secret"
    secret.mkdir()
    _git(secret, "init")
    _git(secret, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "x")
    _git(secret, "worktree", "add", str(tmp_path / "tree"))
    (tmp_path / "link").symlink_to(secret)
    for folder in (secret, tmp_path / "link", tmp_path / "tree"):
        client.run("Stop", {"cwd": "/", "session_id": folder.name}, CLAUDE_PROJECT_DIR=str(folder))
    for cwd in (secret / "inner", tmp_path / "link" / "inner"):
        client.run("PostToolUse", {"cwd": str(cwd)})
    assert client.spooled() == []
    client.run("PostToolUse")
    assert len(client.spooled()) == 1


@pytest.mark.parametrize("name", ["CLAUDE_MEM_DISABLED", "CLAUDE_MEM_INTERNAL"])
@pytest.mark.parametrize("event", ["SessionStart", "PostToolUse"])
def test_switched_off_means_off(client: HookClient, name: str, event: str) -> None:
    client.env[name] = "1"
    assert client.run(event).out == b""
    assert not client.data.exists()


@pytest.mark.parametrize(
    ("tool", "captured"),
    [
        ("mcp__plugin_session-memory_claude-mem__search", False),
        ("mcp__claude-mem__search", False),
        ("TodoWrite", False),
        ("mcp__ide__x", False),
        ("mcp__plugin_other_x__search", True),
        ("Bash", True),
        ("bash", True),
        ("Todo", True),
    ],
)
@pytest.mark.parametrize("event", ["PostToolUse", "PostToolUseFailure"])
def test_tools_that_are_not_captured(client: HookClient, event: str, tool: str, captured: bool) -> None:
    client.run(event, {"tool_name": tool}, CLAUDE_MEM_SKIP_TOOLS="TodoWrite, mcp__ide__x")
    assert len(client.spooled()) == captured


def _git(folder: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)
