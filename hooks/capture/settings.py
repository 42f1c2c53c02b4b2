"""Settings as the hook needs them: the environment over `settings.json` in the data folder; empty counts as not set."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_OFF = ("", "0", "false", "no", "off")
_SETTINGS_MAX_BYTES = 1 << 20


class Settings:
    """One view of the environment and the overrides; `problem` tells why the overrides were not used."""

    __slots__ = ("_environment", "_overrides", "data_dir", "problem")

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.data_dir = data_folder(environment)
        self.problem = ""
        self._overrides: Mapping[str, object] = self._read_overrides() if self.data_dir else {}

    def text(self, name: str) -> str:
        """Give a setting as text; "" when it is not set."""
        value = self._environment.get(name) or self._overrides.get(name)
        return "" if value is None or isinstance(value, (list, dict)) else str(value).strip()

    def words(self, name: str) -> list[str]:
        """Give a setting that is a list: comma-separated text, or a JSON list in settings.json."""
        value = self._environment.get(name) or self._overrides.get(name)
        items = value if isinstance(value, list) else str(value or "").split(",")
        return [word for word in (str(item).strip() for item in items) if word]

    def flag(self, name: str) -> bool:
        """Whether a setting is switched on."""
        return self.text(name).lower() not in _OFF

    def number(self, name: str, default: int) -> int:
        """Give a setting that is a whole number; `default` when it is not set or not one."""
        text = self.text(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else default

    def _read_overrides(self) -> Mapping[str, object]:
        try:
            with open(os.path.join(self.data_dir, "settings.json"), "rb", 0) as file:
                content = file.read(_SETTINGS_MAX_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.problem = f"settings.json was ignored: {error.strerror}"
            return {}
        from .document import parse_object

        overrides = parse_object(content.decode("utf-8-sig", "replace"))
        if overrides is None:
            self.problem = "settings.json was ignored: it does not hold one JSON object"
        return overrides or {}


def data_folder(environment: Mapping[str, str]) -> str:
    """Find the folder that platformdirs names for `claude-mem`, or CLAUDE_MEM_DATA_DIR; "" when there is no home."""
    configured = environment.get("CLAUDE_MEM_DATA_DIR", "").strip()
    if configured:
        return os.path.abspath(os.path.expanduser(configured))
    if sys.platform == "win32":
        parent = environment.get("LOCALAPPDATA", "")
    else:
        parent = environment.get("XDG_DATA_HOME", "")
        if not os.path.isabs(parent):
            below = ("Library", "Application Support") if sys.platform == "darwin" else (".local", "share")
            parent = os.path.join(home_folder(environment), *below)
    return os.path.join(parent, "claude-mem") if os.path.isabs(parent) else ""


def home_folder(environment: Mapping[str, str]) -> str:
    """Find the user's home, from the system's user table where HOME is not an absolute path; "" when nobody knows."""
    home = environment.get("HOME", "")
    if os.path.isabs(home):
        return home
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir
    except (ImportError, KeyError):
        return ""
