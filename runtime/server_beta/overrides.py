"""Where settings come from: the environment over `settings.json` in the data folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from .domain.errors import InvalidSettings

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


def data_folder(env: Mapping[str, str]) -> Path:
    """Find the folder that holds everything this installation keeps; `CLAUDE_MEM_DATA_DIR` overrides platformdirs."""
    configured = env.get("CLAUDE_MEM_DATA_DIR", "").strip()
    if configured:
        return Path(configured).expanduser().absolute()
    return Path(platformdirs.user_data_dir("claude-mem", appauthor=False))


def expanded(globs: tuple[str, ...], home: str) -> tuple[str, ...]:
    """Replace a leading `~` of each glob by the home folder."""
    return tuple(home + glob[1:] if home and (glob == "~" or glob.startswith("~/")) else glob for glob in globs)


def read_overrides(path: Path) -> Mapping[str, object]:
    """Read `settings.json`; none when there is no file. Raises InvalidSettings for one that cannot be read."""
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
class Source:
    """Reads settings by name, each as the kind it must be; raises InvalidSettings naming one that cannot be used."""

    env: Mapping[str, str]
    overrides: Mapping[str, object]

    def text(self, name: str) -> str | None:
        """Return a setting's text; None when it is empty or not set."""
        value = self.env.get(name) or self.overrides.get(name)
        if value is None:
            return None
        if isinstance(value, list | dict):
            raise InvalidSettings(f"{name} in settings.json must be text, a number, true or false.")
        return str(value).strip() or None

    def word(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of the allowed words, in lower case."""
        value = (self.text(name) or default).lower()
        if value not in allowed:
            raise InvalidSettings(f"{name}={value} is not known; use one of: {', '.join(allowed)}.")
        return value

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number within the bounds."""
        value = self.text(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise InvalidSettings(f"{name} must be a whole number from {low} to {high}.")
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return whether something is on."""
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
        """Return the words of a list, or of text with commas between them."""
        value = self.env.get(name) or self.overrides.get(name)
        if isinstance(value, dict):
            # To exclude nothing would record what somebody meant to keep out.
            raise InvalidSettings(f"{name} in settings.json must be a list, or text with commas between the words.")
        items = value if isinstance(value, list) else str(value or "").split(",")
        return tuple(word for item in items if (word := str(item).strip()))
