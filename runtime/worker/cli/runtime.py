"""What tells the two runtimes apart on the command line and in the data folder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime: the name people and state files use, the import package, and the setting of its port.

    `prefers_uvloop` says to run on uvloop where it is installed.
    """

    name: str
    package: str
    version: str
    port_setting: str
    prefers_uvloop: bool
