"""The launcher: the right bundle, a fit Python, the same process, and plain words where something is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

HOOKS = Path(__file__).resolve().parents[2] / "hooks"
_BUNDLE = """\
import json, os, sys
print(json.dumps({
    "bundle": os.path.basename(sys.argv[0]), "arguments": sys.argv[1:], "pid": os.getpid(),
    "shiv_root": os.environ.get("SHIV_ROOT"), "python": list(sys.version_info[:2]), "isolated": sys.flags.isolated,
}))
if sys.argv[1:2] == ["nonsense"]:
    sys.exit(2)
"""


class Plugin:
    """A plugin folder with bundles that tell how they were called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root / "home"), "CLAUDE_MEM_DATA_DIR": str(root / "data")}
        shutil.copytree(HOOKS, root / "hooks", ignore=shutil.ignore_patterns("__pycache__"))

    def add_bundle(self, name: str, folder: str = "runtime") -> None:
        source = self.root / "source"
        source.mkdir(exist_ok=True)
        (source / "__main__.py").write_text(_BUNDLE)
        (self.root / folder).mkdir(exist_ok=True)
        zipapp.create_archive(source, self.root / folder / name)

    def run(self, *arguments: str, python: str = sys.executable, **env: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-I", str(self.root / "hooks" / "launcher.py"), *arguments]
        environment = {**self.env, **env}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    made = Plugin(tmp_path)
    made.add_bundle("worker.pyz")
    made.add_bundle("server-beta.pyz")
    return made


@pytest.mark.parametrize(
    ("arguments", "bundle", "passed"),
    [
        (["start"], "worker.pyz", ["start"]),
        (["mcp"], "worker.pyz", ["mcp"]),
        (["search", "two words", "--json"], "worker.pyz", ["search", "two words", "--json"]),
        (["server-start"], "server-beta.pyz", ["start"]),
        (["server-api-key", "create", "--name", "a b"], "server-beta.pyz", ["api-key", "create", "--name", "a b"]),
        (["server-"], "server-beta.pyz", [""]),
        (["server"], "worker.pyz", ["server"]),
    ],
)
def test_a_command_goes_to_its_bundle(plugin: Plugin, arguments: list[str], bundle: str, passed: list[str]) -> None:
    answer = json.loads(plugin.run(*arguments).stdout)
    assert (answer["bundle"], answer["arguments"], answer["isolated"]) == (bundle, passed, 1)


@pytest.mark.parametrize(
    ("setting", "where", "bundle"),
    [
        ("", "environment", "worker.pyz"),
        ("worker", "environment", "worker.pyz"),
        ("Server-Beta", "environment", "server-beta.pyz"),
        ("server-beta", "file", "server-beta.pyz"),
    ],
)
def test_mcp_goes_to_the_runtime_that_the_hooks_write_to(plugin: Plugin, setting: str, where: str, bundle: str) -> None:
    if where == "file":
        (plugin.root / "data").mkdir()
        (plugin.root / "data" / "settings.json").write_text(json.dumps({"CLAUDE_MEM_RUNTIME": setting}))
        setting = ""
    answer = json.loads(plugin.run("mcp", CLAUDE_MEM_RUNTIME=setting).stdout)
    assert (answer["bundle"], answer["arguments"]) == (bundle, ["mcp"])
    assert json.loads(plugin.run("start", CLAUDE_MEM_RUNTIME="server-beta").stdout)["bundle"] == "worker.pyz"


def test_mcp_of_an_unknown_runtime_is_one_sentence(plugin: Plugin) -> None:
    done = plugin.run("mcp", CLAUDE_MEM_RUNTIME="redis")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "CLAUDE_MEM_RUNTIME=redis is not known; set it to worker or server-beta.\n"


@pytest.mark.parametrize("command", ["nonsense", "server-nonsense"])
def test_the_bundles_own_verdict_is_the_exit_code(plugin: Plugin, command: str) -> None:
    assert plugin.run(command).returncode == 2


def test_the_bundle_runs_in_the_launchers_own_process(plugin: Plugin) -> None:
    command = [sys.executable, "-I", str(plugin.root / "hooks" / "launcher.py"), "status"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=plugin.env) as process:
        out, _ = process.communicate(timeout=60)
    assert json.loads(out)["pid"] == process.pid


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_help(plugin: Plugin, arguments: list[str]) -> None:
    done = plugin.run(*arguments)
    assert done.returncode == 0
    assert "server-start" in done.stdout


def test_bundles_unpack_into_the_plugins_folder(plugin: Plugin) -> None:
    roots = [
        json.loads(plugin.run("status", **env).stdout)["shiv_root"]
        for env in ({}, {"CLAUDE_PLUGIN_DATA": "/plugin/data"}, {"CLAUDE_PLUGIN_DATA": "/p", "SHIV_ROOT": "/chosen"})
    ]
    assert roots == [str(plugin.root / "data" / "bundles"), "/plugin/data/bundles", "/chosen"]


def test_a_source_checkout_and_a_chosen_folder_have_bundles_too(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path)
    plugin.add_bundle("worker.pyz", "dist")
    assert json.loads(plugin.run("status").stdout)["bundle"] == "worker.pyz"
    plugin.add_bundle("server-beta.pyz", "elsewhere")
    assert plugin.run("server-status").returncode == 1
    done = plugin.run("server-status", CLAUDE_MEM_BUNDLES=str(tmp_path / "elsewhere"))
    assert json.loads(done.stdout)["bundle"] == "server-beta.pyz"


def test_a_missing_bundle_is_said_in_one_sentence(tmp_path: Path) -> None:
    done = Plugin(tmp_path).run("server-start")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("server-beta.pyz is not in ")
    assert done.stderr.count("\n") == 1


def test_another_python_is_found_where_this_one_is_too_old(plugin: Plugin, tmp_path: Path) -> None:
    """The launcher believes to run on 3.9; on PATH are one that fails, one that babbles, one too old and a good one."""
    path = tmp_path / "path"
    path.mkdir()
    for name, script in (
        ("python3.14", "exit 1"),
        ("python3.13", "echo rubbish"),
        ("python3.12", "echo 3 10"),
        ("python3.11", f'exec {sys.executable} "$@"'),
    ):
        (path / name).write_text(f"#!/bin/sh\n{script}\n")
        (path / name).chmod(0o755)
    launcher = plugin.root / "hooks" / "launcher.py"
    launcher.write_text(launcher.read_text().replace("sys.version_info[:2]\n", "(3, 9)\n", 1))
    answer = json.loads(plugin.run("status", PATH=str(path)).stdout)
    assert answer["python"] == list(sys.version_info[:2])
    (path / "python3.11").rename(path / "good")
    (path / "python3").write_text(f'#!/bin/sh\n[ "$3" = -c ] && echo 3 99 && exit\nexec {path}/good "$@"\n')
    (path / "python3").chmod(0o755)
    assert json.loads(plugin.run("status", PATH=str(path)).stdout)["bundle"] == "worker.pyz"
    (path / "python3").unlink()
    done = plugin.run("status", PATH=str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "claude-mem needs Python 3.11 or newer and found none on PATH; install one as python3.\n"
