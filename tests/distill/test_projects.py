from __future__ import annotations

import hashlib

import pytest

from tests.distill.replay import Distillery


@pytest.mark.parametrize(
    ("path", "root", "named"),
    [
        ("/home/dev/shop/a/b.py", "/home/dev/shop", "a/b.py"),
        ("/home/dev/shop/a/b.py", "/home/dev/shop/", "a/b.py"),
        ("/home/dev/shop/a/../b.py", "/home/dev/shop", "b.py"),
        ("/home/dev/shop/../other/b.py", "/home/dev/shop", "/home/dev/other/b.py"),
        ("/home/dev/shopping/b.py", "/home/dev/shop", "/home/dev/shopping/b.py"),
        ("/home/dev/shop", "/home/dev/shop", "."),
        ("a/b.py", "/home/dev/shop", "a/b.py"),
        ("./a/b.py", "/home/dev/shop", "a/b.py"),
        ("/a/b.py", "/", "a/b.py"),
        ("/a/b.py", None, "/a/b.py"),
        ("C:\\dev\\shop\\a\\b.py", "C:\\dev\\shop", "a/b.py"),
        ("C:\\dev\\shop\\a\\b.py", "C:/dev/shop", "a/b.py"),
    ],
)
def test_paths_are_named_from_the_root(distillery: Distillery, path: str, root: str | None, named: str) -> None:
    assert distillery.projects.relative_to_root(path, root) == named


def test_a_folder_names_its_project(distillery: Distillery) -> None:
    project = distillery.projects.project_of_folder("/home/dev/shop/")
    digest = hashlib.sha256(b"/home/dev/shop").hexdigest()[:32]
    assert (project.key, project.name, project.root) == (f"path:{digest}", "shop", "/home/dev/shop")
    assert distillery.projects.project_of_folder("/home/other/shop").key != project.key


@pytest.mark.parametrize(
    ("key", "name"), [("git:github.com/owner/repo", "repo"), ("path:abc", "abc"), ("plain", "plain"), ("x/", "x/")]
)
def test_a_key_gives_a_name(distillery: Distillery, key: str, name: str) -> None:
    assert distillery.projects.name_from_key(key) == name


@pytest.mark.parametrize(
    ("root", "pattern", "excluded"),
    [
        ("/home/dev/secret", "/home/dev/secret", True),
        ("/home/dev/secret/inner", "/home/dev/secret", True),
        ("/home/dev/secret/inner", "~/secret", True),
        ("/home/dev/secret/inner", "~/secret/", True),
        ("/home/dev/secrets", "~/secret", False),
        ("/home/dev/work/client-a", "~/work/client-*", True),
        ("/home/dev/work/client-a/x", "~/work/client-*", True),
        ("/home/dev/work/own", "~/work/client-*", False),
        ("/home/dev/anything", "~", True),
        ("/srv/x", "~", False),
        ("/srv/x", "", False),
    ],
)
def test_a_folder_excludes_its_children(distillery: Distillery, root: str, pattern: str, excluded: bool) -> None:
    assert distillery.projects.is_excluded(root, [pattern], "/home/dev") is excluded
