from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.bundles.conftest import Built
from tests.bundles.zipapps import clean_environment, other_build, run


def version_of(python: str) -> str | None:
    """The minor version of an interpreter, or None where the file only looks like one."""
    command = [python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()


def pythons() -> dict[str, str]:
    """One working interpreter for each version from 3.11 on: this one, those on PATH, and those of pyenv."""
    minors = range(11, 20)
    on_path = [found for minor in minors if (found := shutil.which(f"python3.{minor}"))]
    of_pyenv = sorted(map(str, Path.home().glob(".pyenv/versions/*/bin/python3.[1-9][0-9]")))
    working = {version: python for python in (*of_pyenv, *on_path) if (version := version_of(python))}
    working[f"{sys.version_info.major}.{sys.version_info.minor}"] = sys.executable
    return {version: working[version] for version in sorted(working) if int(version.split(".")[1]) in minors}


PYTHONS = pythons()


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    folder = tmp_path / "alone"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("python", PYTHONS)
def test_the_worker_boots_alone_on_every_python(built: Built, alone: Path, root: Path, python: str) -> None:
    bundle = Path(shutil.copy(built.worker, alone))
    done = run(bundle, "version", environment=clean_environment(root), python=PYTHONS[python])
    assert (done.returncode, done.stderr) == (0, "")
    assert "0.1.0" in done.stdout
    assert_everything_imports(root, "worker", PYTHONS[python])


@pytest.mark.parametrize("python", PYTHONS)
def test_server_beta_boots_alone_on_every_python_it_was_built_for(
    built: Built, alone: Path, root: Path, python: str
) -> None:
    bundle = Path(shutil.copy(built.server_beta, alone))
    done = run(bundle, "version", environment=clean_environment(root), python=PYTHONS[python])
    if python in about(bundle)["pythons"]:
        assert (done.returncode, done.stderr) == (0, "")
        assert "0.1.0" in done.stdout
        assert_everything_imports(root, "server_beta", PYTHONS[python])
    else:
        assert done.returncode == 1
        assert f"is {python}; use one of those." in done.stderr


# Extension modules are found by their files, and psycopg's only work once psycopg is there.
IMPORTING = """
import importlib, pathlib, sys
site = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(site))
importlib.import_module(sys.argv[2] + ".bootstrap")
for file in sorted(site.rglob(f"*.{sys.implementation.cache_tag}-*.so")):
    importlib.import_module(".".join(file.relative_to(site).parts).partition(".cpython-")[0])
print(*sorted({str(pathlib.Path(module.__file__).is_relative_to(site)) for name, module in sys.modules.items()
    if name.partition(".")[0] in ("aiohttp", sys.argv[2]) and module.__file__}))
"""


def assert_everything_imports(root: Path, package: str, python: str) -> None:
    [copy] = [path for path in root.iterdir() if path.is_dir()]
    command = [python, "-I", "-S", "-c", IMPORTING, str(copy / "site-packages"), package]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "True\n"


def test_server_beta_was_built_for_this_python(built: Built) -> None:
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in about(built.server_beta)["pythons"]


def test_nothing_on_the_python_path_shadows_what_is_inside(built: Built, root: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in ("worker", "aiohttp", "platformdirs"):
        (project / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    done = run(built.worker, "version", environment=clean_environment(root, PYTHONPATH=str(project)))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        ({"pythons": ["2.6"]}, "was built for Python 2.6, and"),
        ({"platforms": ["Plan9 vax"]}, "was built for Plan9 vax, and this is"),
    ],
)
def test_an_unfit_machine_is_told_so_in_one_sentence(
    built: Built, tmp_path: Path, root: Path, about: dict[str, object], sentence: str
) -> None:
    unfit = other_build(built.worker, tmp_path / "unfit", "e" * 64, about)
    done = run(unfit, "version", environment=clean_environment(root))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not any(root.iterdir())


def test_it_runs_without_a_home(built: Built, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # /dev/null is no folder, for root neither.
    environment = {"PATH": os.defpath, "HOME": "/dev/null", "TMPDIR": str(temporary)}
    done = run(built.worker, "version", environment=environment)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in temporary.iterdir()] == [f"claude-mem-{os.getuid()}"]


def test_a_prepared_folder_in_the_common_temporary_folder_is_refused(built: Built, tmp_path: Path) -> None:
    prepared = tmp_path / f"claude-mem-{os.getuid()}"
    prepared.mkdir()
    prepared.chmod(0o777)
    environment = {"PATH": os.defpath, "HOME": "/dev/null", "TMPDIR": str(tmp_path)}
    done = run(built.worker, "version", environment=environment)
    assert done.returncode == 1
    assert "set SHIV_ROOT to one that you can write to" in done.stderr
    assert not any(prepared.iterdir())


@pytest.mark.parametrize("folder", ["/dev/null/copies", f"/{'x' * 5000}"], ids=["below a file", "too long"])
def test_a_root_that_cannot_be_used_is_named_in_one_sentence(built: Built, folder: str) -> None:
    done = run(built.worker, "version", environment={"PATH": os.defpath, "SHIV_ROOT": folder})
    assert done.returncode == 1
    assert done.stderr == "There is no folder to unpack worker.pyz to: set SHIV_ROOT to one that you can write to.\n"


def about(bundle: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(bundle) as packed:
        content: dict[str, list[str]] = json.loads(packed.read("bundle.json"))
    return content
