"""Which runtime an event belongs to, where it listens, and where its events wait."""

from __future__ import annotations

import os
import sys

from .document import Number, parse_object
from .folders import read_small
from .post import Target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .settings import Settings

WORKER = "worker"
SERVER_BETA = "server-beta"
UNROUTED = "unrouted"
_KEYED = "-keyed"
_RUNTIMES = {
    WORKER: ("CLAUDE_MEM_WORKER_HOST", ".worker.token"),
    SERVER_BETA: ("CLAUDE_MEM_SERVER_HOST", ".server-beta.key"),
}
_START_TIME = 19  # field 22 of /proc/<pid>/stat, counted from the state
_ENDED = (b"Z", b"X", b"x")
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}


class Route:
    """`target` is None while nobody is known to listen; `problem` is a sentence about a setting that cannot be used.

    Where `is_keyed`, with a key that the settings name or on another machine, only hooks deliver what waits: the
    runtime of this data folder would take it for its own team.
    """

    __slots__ = ("is_keyed", "is_remote", "problem", "runtime", "spool", "spool_name", "target")

    def __init__(
        self,
        data_dir: str,
        runtime: str,
        target: Target | None,
        problem: str = "",
        is_remote: bool = False,
        is_keyed: bool = False,
    ) -> None:
        self.runtime = runtime
        self.target = target
        self.problem = problem
        self.is_remote = is_remote
        self.is_keyed = is_keyed
        self.spool_name = runtime + _KEYED if is_keyed else runtime
        self.spool = os.path.join(data_dir, "spool", self.spool_name) if data_dir else ""


def choose_route(settings: Settings) -> Route:
    """Read the settings; an unknown runtime gets no route at all, because a wrong store is worse than a late one."""
    data_dir = settings.data_dir
    runtime = settings.text("CLAUDE_MEM_RUNTIME").lower() or WORKER
    if runtime not in _RUNTIMES:
        known = " or ".join(_RUNTIMES)
        problem = f"CLAUDE_MEM_RUNTIME={runtime[:40]} is not known; set it to {known}."
        return Route(data_dir, UNROUTED, None, problem)
    url = key = ""
    if runtime == SERVER_BETA:
        url, key = settings.text("CLAUDE_MEM_SERVER_URL"), settings.text("CLAUDE_MEM_SERVER_API_KEY")
    if url:
        target = _remote_target(url, _secret(key))
        problem = (
            "" if target else "CLAUDE_MEM_SERVER_URL cannot be used; write it as https://host or http://host:port."
        )
        return Route(data_dir, runtime, target, problem, is_remote=True, is_keyed=True)
    return Route(data_dir, runtime, _local_target(settings, runtime, key), is_keyed=key != "")


def _local_target(settings: Settings, runtime: str, key: str) -> Target | None:
    host_setting, key_file = _RUNTIMES[runtime]
    published = parse_object(read_small(os.path.join(settings.data_dir, f".{runtime}.pid"))) or {}
    port = _positive(published.get("port"))
    if not 0 < port < 65536 or not _is_alive(_positive(published.get("pid")), published.get("startToken")):
        return None
    host = settings.text(host_setting) or "127.0.0.1"
    key = key or read_small(os.path.join(settings.data_dir, key_file))
    return Target(_ANY_ADDRESS.get(host, host), port, _secret(key))


def _is_alive(pid: int, start_token: object) -> bool:
    """Whether the very process that published itself still runs: once it is gone its port may be anybody's."""
    return pid > 0 and (_token_from_proc(pid) == start_token if sys.platform == "linux" else _exists(pid))


def _token_from_proc(pid: int) -> str:
    """Name a process's start as the runtimes do; "" when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as stat, open("/proc/sys/kernel/random/boot_id", "rb", 0) as boot:
            # The second field is the program's name and may hold blanks and brackets.
            fields = stat.read(2048).rpartition(b")")[2].split()
            token = b"%s:%s" % (boot.read(64).strip(), fields[_START_TIME])
    except (OSError, IndexError):
        return ""
    return "" if fields[0] in _ENDED else token.decode("ascii", "replace")


def _exists(pid: int) -> bool:
    """Whether any process has this pid; when it began only `ps` could tell, which takes longer than the whole hook."""
    if sys.platform == "win32":  # where os.kill ends a process, whatever it is told to send
        return True
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return False
    return True


def _positive(value: object) -> int:
    """Read a whole number above 0; 0 for anything else."""
    return int(value) if isinstance(value, Number) and len(value) < 19 and value.isascii() and value.isdigit() else 0


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
