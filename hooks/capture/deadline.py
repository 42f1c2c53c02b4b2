"""One deadline for the whole process, and one way to be called back from waiting: alarm and signals alike."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from types import FrameType
else:
    import _signal  # `signal` wraps the same functions in enums and takes 6 ms to import

# Start-up that cannot be measured (no /proc): a little more than a usual interpreter start.
_ALLOWANCE_SECONDS = 0.03
_OLDEST_BELIEVABLE_START_SECONDS = 60.0
_ALARM_AGAIN_SECONDS = 0.05


class Interrupted(Exception):
    """The deadline passed, or the client asked the hook to end, while it waited."""


class Deadline:
    """The moment by which this process has to be gone, or one that lies a reserve before it."""

    __slots__ = ("_at",)

    def __init__(self, at: float) -> None:
        self._at = at

    @classmethod
    def of_process(cls, budget: float) -> Deadline:
        """Count `budget` seconds from the start of the interpreter, not from now."""
        return cls(time.monotonic() - _age_of_process() + budget)

    def less(self, reserve: float) -> Deadline:
        """Give the moment `reserve` seconds before this one."""
        return Deadline(self._at - reserve)

    def remaining(self) -> float:
        """Count the seconds left; never 0, which would tell a socket not to wait at all."""
        return max(self._at - time.monotonic(), 0.0001)

    def has_passed(self) -> bool:
        """Whether the moment is over."""
        return time.monotonic() >= self._at


class Interrupts:
    """Turn signals into `Interrupted`, raised only inside `with interrupts:`, so that no other step is torn apart.

    A signal that comes earlier is remembered and raised as soon as the next waiting begins.
    """

    __slots__ = ("_waiting", "reason")

    def __init__(self) -> None:
        self.reason = ""
        self._waiting = False

    def install(self, deadline: Deadline) -> None:
        """Listen to the client's signals, those held back so far included, and set the alarm for `deadline`."""
        for name in ("SIGTERM", "SIGINT", "SIGHUP"):
            number = getattr(_signal, name, None)
            if number is not None:
                _signal.signal(number, self._end)
        if hasattr(_signal, "setitimer"):
            _signal.signal(_signal.SIGALRM, self._alarm)
            # Again and again: an alarm between Python's last look at its signals and a read does not end that read.
            _signal.setitimer(_signal.ITIMER_REAL, deadline.remaining(), _ALARM_AGAIN_SECONDS)
        if hasattr(_signal, "pthread_sigmask"):
            # Everything: what whoever started the hook has blocked is blocked here too, the alarm for one.
            _signal.pthread_sigmask(_signal.SIG_SETMASK, ())

    def __enter__(self) -> None:
        self._waiting = True
        if self.reason:
            self._stop_waiting()

    def __exit__(self, *_exception: object) -> None:
        self._waiting = False

    def _alarm(self, _number: int, _frame: FrameType | None) -> None:
        self.reason = self.reason or "the deadline passed"
        self._stop_waiting()

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.reason = "the client ended the hook"
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._waiting:
            self._waiting = False
            raise Interrupted(self.reason)


def _age_of_process() -> float:
    try:
        with open("/proc/self/stat", "rb", 0) as stat:
            # The second field is the program's name and may hold blanks and brackets; start time is field 22.
            ticks = int(stat.read(2048).rpartition(b")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return _ALLOWANCE_SECONDS
    return age if 0.0 <= age <= _OLDEST_BELIEVABLE_START_SECONDS else _ALLOWANCE_SECONDS
