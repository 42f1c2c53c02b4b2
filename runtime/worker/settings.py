"""Settings: the environment over `settings.json` in the data folder over the defaults below; read once, frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self

import platformdirs

from .domain.errors import InvalidSettings

_LOG_LEVELS = ("debug", "info", "warning", "error")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


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
        source = _Source(env, _read_overrides(data_dir / "settings.json"))
        return cls(
            data_dir=data_dir,
            host=source.text("CLAUDE_MEM_WORKER_HOST") or "127.0.0.1",
            port=source.number("CLAUDE_MEM_WORKER_PORT", 37777, 0, 65535),
            provider=source.word("CLAUDE_MEM_PROVIDER", "extractive", ("extractive",)),
            generation_disabled=source.flag("CLAUDE_MEM_GENERATION_DISABLED"),
            context_token_budget=source.number("CLAUDE_MEM_CONTEXT_TOKEN_BUDGET", 2000, 0, 20_000),
            context_files=source.flag("CLAUDE_MEM_CONTEXT_FILES", default=True),
            excluded_projects=_expanded(source.words("CLAUDE_MEM_EXCLUDED_PROJECTS"), env.get("HOME", "")),
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


def data_folder(env: Mapping[str, str]) -> Path:
    """Find the folder that holds everything this installation keeps; `CLAUDE_MEM_DATA_DIR` overrides platformdirs."""
    configured = env.get("CLAUDE_MEM_DATA_DIR", "").strip()
    if configured:
        return Path(configured).expanduser().absolute()
    return Path(platformdirs.user_data_dir("claude-mem", appauthor=False))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _expanded(globs: tuple[str, ...], home: str) -> tuple[str, ...]:
    return tuple(home + glob[1:] if home and (glob == "~" or glob.startswith("~/")) else glob for glob in globs)


def _read_overrides(path: Path) -> Mapping[str, object]:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidSettings(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"{path} is not UTF-8 text; mend it or move it away.") from error
    try:
        overrides = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidSettings(f"{path} is not valid JSON; mend it or move it away.") from error
    if not isinstance(overrides, dict):
        raise InvalidSettings(f"{path} must hold one JSON object of settings.")
    return overrides


@dataclass(frozen=True, slots=True)
class _Source:
    env: Mapping[str, str]
    overrides: Mapping[str, object]

    def text(self, name: str) -> str | None:
        value = self.env.get(name) or self.overrides.get(name)
        if value is None:
            return None
        if isinstance(value, list | dict):
            raise InvalidSettings(f"{name} in settings.json must be text, a number, true or false.")
        return str(value).strip() or None

    def word(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = (self.text(name) or default).lower()
        if value not in allowed:
            raise InvalidSettings(f"{name}={value} is not known; use one of: {', '.join(allowed)}.")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise InvalidSettings(f"{name} must be a whole number from {low} to {high}.")
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        configured = self.text(name)
        if configured is None:
            # JSON's false is no text; it means no all the same.
            return default if self.overrides.get(name) is None else bool(self.overrides[name])
        if configured.lower() in _TRUE:
            return True
        if configured.lower() in _FALSE:
            return False
        raise InvalidSettings(f"{name} must be 1 or 0.")

    def words(self, name: str) -> tuple[str, ...]:
        value = self.env.get(name) or self.overrides.get(name)
        if isinstance(value, dict):
            # To exclude nothing would record what somebody meant to keep out.
            raise InvalidSettings(f"{name} in settings.json must be a list, or text with commas between the words.")
        items = value if isinstance(value, list) else str(value or "").split(",")
        return tuple(word for item in items if (word := str(item).strip()))
