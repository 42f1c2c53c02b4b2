"""A folder has the same project for the tools as for the hooks, which find it in code of their own."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hooks.capture.project import find_project
from hooks.capture.project import normalised_remote as normalised_by_the_hook
from server_beta.cli.checkout import project_key
from server_beta.domain.checkouts import normalised_remote
from server_beta.domain.hook_events import HookEvent, parse_hook
from tests.mcp.client import checkout

REMOTES = [
    "https://github.com/owner/repo.git",
    "https://GitHub.com/Owner/Repo",
    "https://user:token@github.com:443/owner/repo.git/",
    "http://github.com/owner/repo/",
    "git@github.com:owner/repo.git",
    "GITHUB.com:owner/repo",
    "git@github.com:owner/my repo.git",
    "ssh://git@github.com:22/owner/repo.git",
    "git+ssh://git@github.com/owner/repo",
    "git://github.com/owner/repo.git",
    "git@host:/srv/group/repo.git",
    "git@host:~user/repo",
    "ssh://[2001:db8::1]:22/owner/repo",
    "ssh://[2001:DB8::1]/owner/repo",
    "https://user:p@ss@host/owner/repo",
    "https://host/owner/repo.git?x=token#y",
    "https://host/owner/.git",
    "https://host/owner/repo.git.git",
    "https://host//owner//repo",
    "https://host/100%/repo%20name",
    "https://пример.рф/владелец/хранилище",
    "https://ÄÖÜ.example/İ",
    "/srv/repo.git",
    "../repo",
    "file:///srv/repo.git",
    "FILE:///srv/repo.git",
    "C:\\work\\repo",
    "c:/work/repo",
    "./a:b/c",
    "https://host",
    "https:///owner/repo",
    "://host/x",
    "host:",
    ":path",
    "[::1]:path",
    "",
    "   ",
    "https://host/" + "long/" * 2000 + "name",
]
CONFIGURATIONS = [
    '[remote "origin"]\n\turl = "https://h/o/r"  ; c\n',
    '[Remote "origin"]\n  URL=https://h/o/r # c\n',
    '[remote "x"]\n\turl = https://h/x/x\n# [remote "y"]\n[remote "origin"]\n\t#url = no\n\turl = https://h/o/r\n',
    '[branch "origin"]\n\turl = no\n[remote "origin"]\n\tfetch = +refs\n\turl = https://h/o/r\n\tpushurl = no',
    '[remote "second"]\r\n\turl = https://h/s/s\r\n[remote "third"]\r\n\turl = https://h/t/t\r\n',
    '[remote "origin"]\n\turl = /a/path\n[remote "upstream"]\n\turl = https://h/u/u\n',
    '[remote "upstream"]\n\turl = https://h/u/u\n[remote "origin"]\n\turl =\n',
    "[remote]\n\turl = https://h/o/r\n",
    '[remote "origin"] url = https://h/o/r\n',
    "[core]\n\tbare = false\n",
    "url = https://h/o/r\n",
    "[remote",
    "",
    "\x00\x00",
    '[remote "origin"]\n\turl = https://h/o/\x00r\x0b\u2028x\n',
]


def sent_by_the_hook(folder: Path) -> str:
    """Give the key as the runtime reads it from the hook's header."""
    headers = {"X-Claude-Mem-Project": find_project(str(folder)).key}
    event = parse_hook("Stop", {"session_id": "s"}, headers, received_at=datetime.now(UTC))
    assert isinstance(event, HookEvent)
    return event.project.key


@pytest.mark.parametrize("remote", REMOTES, ids=lambda remote: remote[:50])
def test_a_remote_gives_the_same_key(tmp_path: Path, remote: str) -> None:
    assert normalised_remote(remote) == normalised_by_the_hook(remote)
    folder = checkout(tmp_path, remote)
    assert project_key(folder) == sent_by_the_hook(folder)


@pytest.mark.parametrize("config", CONFIGURATIONS)
def test_a_configuration_gives_the_same_key(tmp_path: Path, config: str) -> None:
    folder = checkout(tmp_path, "")
    (folder / ".git" / "config").write_bytes(config.encode())
    (folder / "deep" / "er").mkdir(parents=True)
    assert project_key(folder / "deep" / "er") == project_key(folder) == sent_by_the_hook(folder / "deep" / "er")


def test_a_configuration_that_is_not_text_gives_the_same_key(tmp_path: Path) -> None:
    folder = checkout(tmp_path, "")
    (folder / ".git" / "config").write_bytes(b'[remote "origin"]\n\turl = https://h/\xff\xfe/\xc3\n')
    assert project_key(folder) == sent_by_the_hook(folder)


@pytest.mark.parametrize("content", ["", "gitdir:", "gitdir: /nowhere/at/all", "gitdir: ../other/.git", "\0" * 50])
def test_a_git_file_gives_the_same_key(tmp_path: Path, content: str) -> None:
    checkout(tmp_path / "other", "https://h/o/r")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".git").write_text(content)
    assert project_key(folder) == sent_by_the_hook(folder)


def test_a_git_file_with_a_path_that_cannot_be_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /a\0b")
    assert project_key(tmp_path).startswith("path:")


@pytest.mark.parametrize("remote", ["https://github.com/owner/repo", ""])
def test_worktrees_submodules_and_links_give_the_same_keys(tmp_path: Path, remote: str) -> None:
    main, tree, outer, module = (tmp_path / name for name in ("main", "tree", "outer", "module"))
    for folder in (main, outer, module):
        folder.mkdir()
        git(folder, "init")
        git(folder, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "-m", "x")
    if remote:
        git(main, "remote", "add", "origin", remote)
    git(main, "worktree", "add", str(tree))
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", str(module), "inner")
    git(outer, "clone", "--bare", str(module), str(tmp_path / "bare.git"))
    git(tmp_path / "bare.git", "worktree", "add", str(tmp_path / "of-bare"))
    (tmp_path / "link").symlink_to(tree)
    folders = [main, tree, outer, outer / "inner", module, tmp_path / "of-bare", tmp_path / "link", tmp_path]
    keys = [project_key(folder) for folder in folders]
    assert keys == [sent_by_the_hook(folder) for folder in folders]
    assert keys[0] == keys[1] == keys[6]
    assert len(set(keys)) == 6


def test_a_folder_whose_name_is_not_text_gives_the_same_key(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff name"))
    folder.mkdir()
    assert project_key(folder) == sent_by_the_hook(folder)
    assert project_key(folder / "gone") == sent_by_the_hook(folder / "gone")


def git(folder: Path, *arguments: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)
