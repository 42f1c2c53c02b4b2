"""`<data>/logs/hook.log`: what the hook could not do, in one line each; never a payload, never a secret."""

from __future__ import annotations

import os
import time

from .folders import make_private

_LOG_MAX_BYTES = 256 * 1024
_LINE_MAX_CHARACTERS = 300


def log(data_dir: str, event: str, message: str) -> None:
    """Append one line; a log that cannot be written is nobody's trouble."""
    if not data_dir:
        return
    folder = os.path.join(data_dir, "logs")
    path = os.path.join(folder, "hook.log")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    printable = "".join(character if character.isprintable() else " " for character in f"{event} {message}")
    try:
        make_private(data_dir, "logs")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(descriptor).st_size > _LOG_MAX_BYTES:
                os.replace(path, path + ".1")
                os.close(descriptor)
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, f"{stamp} {printable[:_LINE_MAX_CHARACTERS]}\n".encode("utf-8", "replace"))
        finally:
            os.close(descriptor)
    except OSError:
        return


def describe(error: BaseException) -> str:
    """Name an unforeseen error by type and place; its text may quote what the user typed."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" at {os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}" if place else ""
    return f"{type(error).__name__}{where}"
