"""Which runtime an event belongs to, where it listens, and where its events wait."""

from __future__ import annotations

import os

from .folders import read_small
from .post import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .settings import Settings

WORKER = "worker"
SERVER_BETA = "server-beta"
UNROUTED = "unrouted"
_RUNTIMES = {
    WORKER: ("CLAUDE_MEM_WORKER_HOST", ".worker.token"),
    SERVER_BETA: ("CLAUDE_MEM_SERVER_HOST", ".server-beta.key"),
}
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}


class Route:
    """`target` is None while nobody is known to listen; `problem` is a sentence about a setting that cannot be used."""

    __slots__ = ("is_remote", "problem", "runtime", "spool", "target")

    def __init__(
        self, data_dir: str, runtime: str, target: Target | None, problem: str = "", is_remote: bool = False
    ) -> None:
        self.runtime = runtime
        self.target = target
        self.problem = problem
        self.is_remote = is_remote
        self.spool = os.path.join(data_dir, "spool", runtime) if data_dir else ""


def choose_route(settings: Settings) -> Route:
    """Read the settings; an unknown runtime gets no route at all, because a wrong store is worse than a late one."""
    data_dir = settings.data_dir
    runtime = settings.text("CLAUDE_MEM_RUNTIME").lower() or WORKER
    if runtime not in _RUNTIMES:
        known = " or ".join(_RUNTIMES)
        problem = f"CLAUDE_MEM_RUNTIME={runtime[:40]} is not known; set it to {known}."
        return Route(data_dir, UNROUTED, None, problem)
    url = settings.text("CLAUDE_MEM_SERVER_URL") if runtime == SERVER_BETA else ""
    if url:
        target = _remote_target(url, _secret(settings.text("CLAUDE_MEM_SERVER_API_KEY")))
        problem = (
            "" if target else "CLAUDE_MEM_SERVER_URL cannot be used; write it as https://host or http://host:port."
        )
        return Route(data_dir, runtime, target, problem, is_remote=True)
    return Route(data_dir, runtime, _local_target(settings, runtime))


def _local_target(settings: Settings, runtime: str) -> Target | None:
    host_setting, key_file = _RUNTIMES[runtime]
    port = read_small(os.path.join(settings.data_dir, f".{runtime}.port"), 16)
    if not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        return None
    host = settings.text(host_setting) or "127.0.0.1"
    key = settings.text("CLAUDE_MEM_SERVER_API_KEY") if runtime == SERVER_BETA else ""
    key = key or read_small(os.path.join(settings.data_dir, key_file))
    return Target(_ANY_ADDRESS.get(host, host), int(port), _secret(key))


def _remote_target(url: str, key: str) -> Target | None:
    scheme, separator, rest = url.partition("://")
    tls = scheme.lower() == "https"
    if not separator or not (tls or scheme.lower() == "http") or not _is_plain(rest):
        return None
    authority, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    host, port = _split_authority(authority.rpartition("@")[2])
    if not host or not (port.isdigit() or not port):
        return None
    number = int(port or (443 if tls else 80))
    return Target(host, number, key, (slash + path).rstrip("/"), tls) if 0 < number < 65536 else None


def _split_authority(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        return host, rest.lstrip(":")
    host, _, port = authority.partition(":")
    return host, port


def _secret(text: str) -> str:
    return text if _is_plain(text) else ""


def _is_plain(text: str) -> bool:
    # Anything else (a line end above all) would change the request it is written into.
    return text.isascii() and text.isprintable() and " " not in text
