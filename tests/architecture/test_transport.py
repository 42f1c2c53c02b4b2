from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER_BETA = ROOT / "runtime" / "server_beta"
LIBRARIES = frozenset({"bullmq", "psycopg", "redis"})


def entrances() -> list[tuple[str, str]]:
    """What bootstrap, the only importer, takes from the transport: module and name."""
    bootstrap = ast.parse((SERVER_BETA / "bootstrap.py").read_text("utf-8"))
    taken = [node for node in ast.walk(bootstrap) if isinstance(node, ast.ImportFrom) and node.level == 1]
    return [
        (node.module.removeprefix("transport."), alias.name)
        for node in taken
        if node.module is not None and node.module.startswith("transport.")
        for alias in node.names
    ]


def test_bootstrap_takes_something_from_the_transport() -> None:
    assert entrances()


@pytest.mark.parametrize(("file", "name"), entrances())
def test_no_any_and_no_type_of_a_library_leaves_the_transport(file: str, name: str) -> None:
    module = ast.parse((SERVER_BETA / "transport" / f"{file}.py").read_text("utf-8"))
    foreign = {"Any", *names_from_libraries(module)}
    module.body = [node for node in module.body if getattr(node, "name", None) == name]
    assert module.body
    leaks = [
        f"{function.name}: {ast.unparse(annotation)}"
        for function in public_functions(module)
        for annotation in types_of(function)
        if foreign & {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    ]
    assert leaks == []


def test_a_leak_is_seen() -> None:
    module = ast.parse("from bullmq import Job as J\nclass C:\n    def f(self, a: list[J]) -> Any: ...\n")
    [function] = public_functions(module)
    assert function.name == "f"
    assert set(names_from_libraries(module)) == {"J"}
    assert [ast.unparse(annotation) for annotation in types_of(function)] == ["list[J]", "Any"]


def names_from_libraries(module: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = node.module if isinstance(node, ast.ImportFrom) and not node.level else None
            foreign = [alias for alias in node.names if (origin or alias.name).partition(".")[0] in LIBRARIES]
            names += [alias.asname or alias.name.partition(".")[0] for alias in foreign]
    return names


def public_functions(module: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    functions = [*module.body, *(node for scope in classes for node in scope.body)]
    return [node for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_public(node)]


def is_public(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return not function.name.startswith("_") or function.name == "__init__"


def types_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.expr]:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    found = [argument.annotation for argument in arguments if argument.annotation is not None]
    return [*found, *([function.returns] if function.returns is not None else [])]
