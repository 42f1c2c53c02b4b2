"""Start the local runtime once, detached from the client, and never wait for it."""

from __future__ import annotations

import os
import sys
import time

from .folders import make_private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_AGAIN_AFTER_SECONDS = 30.0
_LOG_MAX_BYTES = 1024 * 1024
_INHERITED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP",
    "REDIS_URL", "CLAUDE_PLUGIN_ROOT", "CLAUDE_PLUGIN_DATA", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
})  # fmt: skip
_INHERITED_PREFIXES = ("CLAUDE_MEM_", "XDG_", "LC_")


def spawn_once(data_dir: str, runtime: str, environment: Mapping[str, str]) -> bool:
    """Run the launcher's start command in the background and say so; not when another session has just done it."""
    if not hasattr(os, "fork"):
        return False
    import fcntl

    try:
        make_private(data_dir)
        mark = os.open(os.path.join(data_dir, f".{runtime}.spawn"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        last = os.read(mark, 32)
        if last.isdigit() and 0 <= time.time() - int(last) < _AGAIN_AFTER_SECONDS:
            return False
        os.ftruncate(mark, 0)
        os.pwrite(mark, b"%d" % time.time(), 0)
        _spawn(data_dir, "start" if runtime == "worker" else "server-start", environment)
    except OSError:
        return False
    finally:
        os.close(mark)
    return True


def _spawn(data_dir: str, command: str, environment: Mapping[str, str]) -> None:
    launcher = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "launcher.py")
    output = _open_log(os.path.join(make_private(data_dir, "logs"), "launcher.log"))
    child = os.fork()
    if child:
        os.close(output)
        os.waitpid(child, 0)
        return
    # This is another process now and must never return into the hook. The second fork leaves the client's tree of
    # processes, which the client ends as a whole.
    try:
        os.setsid()
        if os.fork() == 0:
            silence = os.open(os.devnull, os.O_RDONLY)
            os.dup2(silence, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(data_dir)
            arguments = [sys.executable or "python3", "-I", launcher, command]
            os.execve(arguments[0], arguments, _inherited(environment, data_dir))
    finally:
        os._exit(0)


def _inherited(environment: Mapping[str, str], data_dir: str) -> dict[str, str]:
    """Choose what the runtime may see: the client's environment holds keys and tokens that are not ours."""
    chosen = {
        name: value for name, value in environment.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    if "CLAUDE_MEM_DATA_DIR" in chosen:
        chosen["CLAUDE_MEM_DATA_DIR"] = data_dir
    return chosen


def _open_log(path: str) -> int:
    keep = os.O_APPEND
    try:
        if os.stat(path).st_size > _LOG_MAX_BYTES:
            keep = os.O_TRUNC
    except FileNotFoundError:
        pass
    return os.open(path, os.O_WRONLY | os.O_CREAT | keep, 0o600)
