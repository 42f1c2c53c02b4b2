"""Deliver what waits in the spool to a runtime that does not take it itself."""

from __future__ import annotations

import os

from .delivery import BAD_EVENT, STORED, deliver
from .spool import reject, remove, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .deadline import Deadline, Interrupts
    from .post import Target


def drain(folder: str, target: Target, deadline: Deadline, interrupts: Interrupts) -> None:
    """Deliver the waiting events in order, as many as time allows; stop at the first that finds no taker."""
    for name in waiting(folder):
        if deadline.has_passed():
            return
        try:
            with open(os.path.join(folder, name), "rb", 0) as file:
                head, _, body = file.read().partition(b"\r\n\r\n")
        except OSError:
            continue
        request_line, _, header_lines = head.partition(b"\r\n")
        words = request_line.decode("ascii", "replace").split(" ")
        if len(words) != 3 or words[0] != "POST" or not words[1].startswith("/v1/hooks/"):
            reject(folder, name)
            continue
        header_lines += b"\r\nX-Claude-Mem-Spooled: 1\r\n"
        outcome = deliver(target, words[1], header_lines, body, deadline, interrupts)
        if outcome.kind == STORED:
            remove(os.path.join(folder, name))
        elif outcome.kind == BAD_EVENT:
            reject(folder, name)
        else:
            return
