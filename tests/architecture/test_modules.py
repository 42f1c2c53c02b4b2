from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("server_beta", "worker")
LONGEST = 300
LONGEST_TEST = 500
# A module may be longer only with its reason here.
LONGER: dict[str, str] = {}
NAMELESS = frozenset({"common", "utils", "util", "helpers", "helper", "base", "manager", "managers", "misc"})
# What of the standard library touches the world; the domain computes.
WORLDLY = frozenset(
    {"asyncio", "concurrent", "fcntl", "http", "io", "logging", "multiprocessing", "select", "shutil", "signal"}
    | {"socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading"}
)
COMPUTING = frozenset({"urllib.parse"})

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

SOURCES = sorted(
    path
    for folder in ("runtime", "hooks", "build", "bench", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
PROGRAMS = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in ("runtime", "hooks", "build")]
DOMAIN = [path for path in SOURCES if path.relative_to(ROOT).parts[2:3] == ("domain",)]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_can_be_read_in_one_sitting(path: Path) -> None:
    longest = LONGEST_TEST if path.name.startswith("test_") else LONGEST
    is_long = len(path.read_text("utf-8").splitlines()) > longest
    assert is_long == (name_of(path) in LONGER)


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_a_module_is_named_for_a_noun_or_a_verb(path: Path) -> None:
    assert NAMELESS.isdisjoint(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", PROGRAMS, ids=name_of)
def test_a_module_and_what_is_public_in_it_say_what_the_signature_cannot(path: Path) -> None:
    module = ast.parse(path.read_text("utf-8"))
    # A package that only groups may stay silent.
    documented: list[Documented] = [module] if module.body else []
    waiting: list[ast.Module | ast.ClassDef] = [module]
    while waiting:
        for node in waiting.pop().body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith(
                "_"
            ):
                documented.append(node)
                waiting += [node] if isinstance(node, ast.ClassDef) else []
    silent = [getattr(node, "name", "the module") for node in documented if not is_documented(node)]
    assert silent == []


def is_documented(node: Documented) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in getattr(node, "decorator_list", [])}
    return bool(names & {"overload", "override", "setter"}) or len((ast.get_docstring(node) or "").split()) > 1


@pytest.mark.parametrize("path", DOMAIN, ids=name_of)
def test_the_domain_imports_itself_and_what_only_computes(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1, "the domain is the lowest layer"
            continue
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            root = name.partition(".")[0]
            assert name in COMPUTING or root in sys.stdlib_module_names - WORLDLY - {"urllib"}


@pytest.mark.parametrize("package", PACKAGES)
def test_only_the_edge_reads_the_environment(package: str) -> None:
    readers = set()
    for path in (ROOT / "runtime" / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.environb", "os.getenv"):
                readers.add(path.relative_to(ROOT / "runtime" / package).as_posix())
    assert readers == {"__main__.py"}


@pytest.mark.parametrize("folder", ["runtime", "hooks", "build"])
def test_a_source_root_is_not_a_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_version_is_the_projects(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f'VERSION = "{project["version"]}"' in (ROOT / "runtime" / package / "version.py").read_text("utf-8")
