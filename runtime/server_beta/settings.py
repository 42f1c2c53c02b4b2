"""Settings: the environment over `settings.json` in the data folder over the defaults below; read once, frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from .domain.errors import InvalidSettings
from .domain.jobs import Lane
from .overrides import Source, data_folder, expanded, read_overrides

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?(:[0-9]{1,5})?")
_LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured. Empty strings in the environment count as not set.

    `rate_limit_per_min` is how many requests each key may make in a minute, and each address that shows no good key;
    they may come at once. 0, the default, sets no limit: on one's own machine hooks come in bursts.
    `public_hosts` are the names, with a port where it is not the usual one, under which a proxy in front of this server
    is known.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 37877
    database_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    queue_prefix: str = "claude_mem"
    lane_concurrency: Mapping[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 1))
    auth_mode: str = "api-key"
    rate_limit_per_min: int = 0
    public_hosts: tuple[str, ...] = ()
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

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the settings; raises InvalidSettings naming the setting that cannot be used."""
        data_dir = data_folder(env)
        source = Source(env, read_overrides(data_dir / "settings.json"))
        # REDIS_URL is many programs' setting: it counts only where BullMQ was asked for by name.
        redis_url = source.text("CLAUDE_MEM_REDIS_URL")
        if source.text("CLAUDE_MEM_QUEUE_ENGINE") and source.word("CLAUDE_MEM_QUEUE_ENGINE", "", ("bullmq",)):
            redis_url = redis_url or source.text("REDIS_URL")
        return cls(
            data_dir=data_dir,
            host=source.text("CLAUDE_MEM_SERVER_HOST") or "127.0.0.1",
            port=source.number("CLAUDE_MEM_SERVER_PORT", 37877, 0, 65535),
            database_url=source.text("CLAUDE_MEM_SERVER_DATABASE_URL"),
            redis_url=redis_url,
            queue_prefix=source.text("CLAUDE_MEM_QUEUE_REDIS_PREFIX") or "claude_mem",
            lane_concurrency={lane: source.number(_concurrency_name(lane), 1, 1, 256) for lane in Lane},
            auth_mode=source.word("CLAUDE_MEM_AUTH_MODE", "api-key", ("api-key", "local-dev")),
            rate_limit_per_min=source.number("CLAUDE_MEM_RATE_LIMIT_PER_MIN", 0, 0, 1_000_000),
            public_hosts=source.words("CLAUDE_MEM_PUBLIC_HOSTS"),
            provider=source.word("CLAUDE_MEM_PROVIDER", "extractive", ("extractive",)),
            generation_disabled=source.flag("CLAUDE_MEM_GENERATION_DISABLED"),
            context_token_budget=source.number("CLAUDE_MEM_CONTEXT_TOKEN_BUDGET", 2000, 0, 20_000),
            context_files=source.flag("CLAUDE_MEM_CONTEXT_FILES", default=True),
            excluded_projects=expanded(source.words("CLAUDE_MEM_EXCLUDED_PROJECTS"), env.get("HOME", "")),
            skip_tools=source.words("CLAUDE_MEM_SKIP_TOOLS"),
            log_level=source.word("CLAUDE_MEM_LOG_LEVEL", "info", _LOG_LEVELS),
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
        if not all(map(_HOST.fullmatch, self.public_hosts)):
            raise InvalidSettings(
                "CLAUDE_MEM_PUBLIC_HOSTS must name hosts without scheme or path, like mem.example.org or "
                "mem.example.org:8443."
            )
        return self


def _concurrency_name(lane: Lane) -> str:
    return f"CLAUDE_MEM_QUEUE_CONCURRENCY_{lane.replace('-', '_').upper()}"
