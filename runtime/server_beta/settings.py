"""Settings: the environment over `settings.json` in the data folder over the defaults below; read once, frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import platformdirs

from .domain.errors import InvalidSettings
from .domain.jobs import Lane

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_LOG_LEVELS = ("debug", "info", "warning", "error")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured. Empty strings in the environment count as not set."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 37877
    database_url: str | None = field(default=None, repr=False)
    queue_engine: str | None = None
    redis_url: str | None = field(default=None, repr=False)
    queue_prefix: str = "claude_mem"
    lane_concurrency: Mapping[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 1))
    auth_mode: str = "api-key"
    provider: str = "extractive"
    generation_disabled: bool = False
    context_token_budget: int = 2000
    context_files: bool = True
    excluded_projects: tuple[str, ...] = ()
    skip_tools: tuple[str, ...] = ()
    log_level: str = "info"
    # Of clients on this machine, not of a server that runs here.
    remote_url: str | None = None
    remote_api_key: str | None = field(default=None, repr=False)

    @property
    def uses_embedded_postgres(self) -> bool:
        """Whether this server starts its own Postgres in the data folder."""
        return self.database_url is None

    @property
    def uses_redis(self) -> bool:
        """Whether BullMQ runs on Redis rather than on its Postgres backend."""
        return self.redis_url is not None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the settings; raises InvalidSettings naming the setting that cannot be used."""
        data_dir = data_folder(env)
        source = _Source(env, _read_overrides(data_dir / "settings.json"))
        queue_engine = source.word("CLAUDE_MEM_QUEUE_ENGINE", None, ("bullmq",))
        redis_url = source.text("CLAUDE_MEM_REDIS_URL") or source.text("REDIS_URL")
        return cls(
            data_dir=data_dir,
            host=source.text("CLAUDE_MEM_SERVER_HOST") or "127.0.0.1",
            port=source.number("CLAUDE_MEM_SERVER_PORT", 37877, 0, 65535),
            database_url=source.text("CLAUDE_MEM_SERVER_DATABASE_URL"),
            queue_engine=queue_engine,
            redis_url=redis_url,
            queue_prefix=source.text("CLAUDE_MEM_QUEUE_REDIS_PREFIX") or "claude_mem",
            lane_concurrency={lane: source.number(_concurrency_name(lane), 1, 1, 256) for lane in Lane},
            auth_mode=source.word("CLAUDE_MEM_AUTH_MODE", "api-key", ("api-key", "local-dev")) or "api-key",
            provider=source.word("CLAUDE_MEM_PROVIDER", "extractive", ("extractive",)) or "extractive",
            generation_disabled=source.flag("CLAUDE_MEM_GENERATION_DISABLED"),
            context_token_budget=source.number("CLAUDE_MEM_CONTEXT_TOKEN_BUDGET", 2000, 0, 20_000),
            context_files=source.flag("CLAUDE_MEM_CONTEXT_FILES", default=True),
            excluded_projects=_expanded(source.words("CLAUDE_MEM_EXCLUDED_PROJECTS"), env.get("HOME", "")),
            skip_tools=source.words("CLAUDE_MEM_SKIP_TOOLS"),
            log_level=source.word("CLAUDE_MEM_LOG_LEVEL", "info", _LOG_LEVELS) or "info",
            remote_url=source.text("CLAUDE_MEM_SERVER_URL"),
            remote_api_key=source.text("CLAUDE_MEM_SERVER_API_KEY"),
        ).checked()

    def checked(self) -> Self:
        """Return these settings, or raise InvalidSettings where two of them contradict each other."""
        if self.auth_mode == "local-dev" and self.host not in LOOPBACK_HOSTS:
            raise InvalidSettings(
                "CLAUDE_MEM_AUTH_MODE=local-dev works on a loopback address only; "
                "set CLAUDE_MEM_SERVER_HOST=127.0.0.1 or use api-key."
            )
        return self


def data_folder(env: Mapping[str, str]) -> Path:
    """Find the folder that holds everything this installation keeps; `CLAUDE_MEM_DATA_DIR` overrides platformdirs."""
    configured = env.get("CLAUDE_MEM_DATA_DIR", "").strip()
    if configured:
        return Path(configured).expanduser().absolute()
    return Path(platformdirs.user_data_dir("claude-mem", appauthor=False))


def _expanded(globs: tuple[str, ...], home: str) -> tuple[str, ...]:
    return tuple(home + glob[1:] if home and (glob == "~" or glob.startswith("~/")) else glob for glob in globs)


def _concurrency_name(lane: Lane) -> str:
    return f"CLAUDE_MEM_QUEUE_CONCURRENCY_{lane.replace('-', '_').upper()}"


def _read_overrides(path: Path) -> Mapping[str, object]:
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidSettings(f"{path} cannot be read: {error.strerror}.") from error
    try:
        overrides = json.loads(text)
    except ValueError as error:
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
        if value is None or isinstance(value, list | dict):
            return None
        return str(value).strip() or None

    def word(self, name: str, default: str | None, allowed: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in allowed:
            raise InvalidSettings(f"{name}={value} is not known; use one of: {', '.join(allowed)}.")
        return value.lower()

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdigit() or not low <= int(value) <= high:
            raise InvalidSettings(f"{name} must be a whole number from {low} to {high}.")
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = (self.text(name) or str(default)).lower()
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise InvalidSettings(f"{name} must be 1 or 0.")

    def words(self, name: str) -> tuple[str, ...]:
        value = self.env.get(name) or self.overrides.get(name)
        items = value if isinstance(value, list) else str(value or "").split(",")
        return tuple(word for item in items if (word := str(item).strip()))
