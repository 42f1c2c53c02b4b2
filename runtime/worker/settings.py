"""Settings: the environment over `settings.json` in the data folder over the defaults below; read once, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from .domain.errors import InvalidSettings
from .overrides import Source, data_folder, expanded, read_overrides

_LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured. Empty strings in the environment count as not set.

    `context_files` lets a Read be answered with what changed that file before. It is on: the note is a few lines, and
    there is none where nothing did.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 37777
    provider: str = "extractive"
    generation_disabled: bool = False
    context_token_budget: int = 2000
    context_files: bool = True
    excluded_projects: tuple[str, ...] = ()
    skip_tools: tuple[str, ...] = ()
    log_level: str = "info"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the settings; raises InvalidSettings naming the setting that cannot be used."""
        data_dir = data_folder(env)
        source = Source(env, read_overrides(data_dir / "settings.json"))
        return cls(
            data_dir=data_dir,
            host=source.text("CLAUDE_MEM_WORKER_HOST") or "127.0.0.1",
            port=source.number("CLAUDE_MEM_WORKER_PORT", 37777, 0, 65535),
            provider=source.word("CLAUDE_MEM_PROVIDER", "extractive", ("extractive",)),
            generation_disabled=source.flag("CLAUDE_MEM_GENERATION_DISABLED"),
            context_token_budget=source.number("CLAUDE_MEM_CONTEXT_TOKEN_BUDGET", 2000, 0, 20_000),
            context_files=source.flag("CLAUDE_MEM_CONTEXT_FILES", default=True),
            excluded_projects=expanded(source.words("CLAUDE_MEM_EXCLUDED_PROJECTS"), env.get("HOME", "")),
            skip_tools=source.words("CLAUDE_MEM_SKIP_TOOLS"),
            log_level=source.word("CLAUDE_MEM_LOG_LEVEL", "info", _LOG_LEVELS),
        ).checked()

    def checked(self) -> Self:
        """Return these settings, or raise InvalidSettings where the worker would be reachable from other machines."""
        if not _is_loopback(self.host):
            raise InvalidSettings(
                f"CLAUDE_MEM_WORKER_HOST={self.host} is not a loopback address; the worker serves this machine only, "
                "use 127.0.0.1 or run server-beta."
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
