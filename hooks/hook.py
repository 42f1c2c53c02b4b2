"""Run `python3 -I -S hook.py <EventName>`: read the client's JSON on stdin, post it once, print the answer, exit 0.

The work is in the folder `capture` beside this file and is imported, not written here, because Python keeps compiled
modules between runs but compiles the script it is given every time.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # already there; `signal` takes 6 ms to import


def main() -> None:
    """Capture one event; whatever goes wrong, leave with exit code 0 and without a word on stderr."""
    try:
        if hasattr(_signal, "pthread_sigmask"):
            # They wait until `capture` listens to them: the default action would end the hook and lose the event.
            held = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP)
            _signal.pthread_sigmask(_signal.SIG_BLOCK, held)
        sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
        if TYPE_CHECKING:
            from hooks.capture.run import run
        else:
            from capture.run import run
        run(sys.argv[1] if len(sys.argv) > 1 else "", os.environ)
    finally:
        # Not sys.exit: nothing that waits or raises during the interpreter's shutdown may change the exit code.
        os._exit(0)


if __name__ == "__main__":
    main()
