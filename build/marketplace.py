"""Assemble `dist/marketplace`: what `claude plugin marketplace add` reads, with the complete plugin in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from staging import ROOT

# The client reserves plugin names that begin with "claude-"; the marketplace may be called so.
_PLUGIN = "session-memory"


def assemble(bundles: Sequence[Path], target: Path) -> None:
    """Build the marketplace beside the folder and put it in its place: a client may be running hooks from there."""
    new, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    plugin = new / _PLUGIN
    unwanted = shutil.ignore_patterns("__pycache__", "README.md")
    shutil.copytree(ROOT / "plugin", plugin, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "hooks", plugin / "hooks", ignore=unwanted, dirs_exist_ok=True)
    (plugin / "runtime").mkdir()
    for bundle in bundles:
        shutil.copy(bundle, plugin / "runtime" / bundle.name)
    for name in ("LICENSE", "README.md"):
        if not (plugin / name).exists():
            shutil.copy(ROOT / name, plugin / name)
    _write_manifest(new, plugin)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _write_manifest(marketplace: Path, plugin: Path) -> None:
    about = json.loads((plugin / ".claude-plugin" / "plugin.json").read_text("utf-8"))
    entry = {"name": about["name"], "source": f"./{_PLUGIN}", "description": about["description"]}
    manifest = {
        "name": "claude-mem",
        "owner": {"name": "claude-mem"},
        "metadata": {"description": about["description"], "version": about["version"]},
        "plugins": [entry],
    }
    folder = marketplace / ".claude-plugin"
    folder.mkdir()
    (folder / "marketplace.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
