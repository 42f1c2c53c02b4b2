"""How the commands of a turn ended: what failed and was mended, what still fails, what passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...domain.text import one_line
from .commands import Work, commit_message
from .evidence import Run

# Each run is compared with those after it; what matters of a very long session is its end.
_MAX_RUNS = 500
_PROVING = {Work.TEST, Work.CHECK, Work.BUILD}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Sentences about the commands of a turn, each complete in itself.

    `passing` leaves out what `mended` tells; `verified` is everything that passed in the end. `was_fixed` says that
    something failed before the first change and passed after it.
    """

    mended: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    was_fixed: bool = False


def outcomes_of(runs: Sequence[Run]) -> Outcomes:
    """Follow each command from its first failure to its last result."""
    runs = runs[-_MAX_RUNS:]
    mended: dict[str, str] = {}
    failing: dict[str, str] = {}
    passing: dict[str, str] = {}
    was_fixed = False
    for at, run in enumerate(runs):
        later = [other for other in runs[at + 1 :] if other.command.covers(run.command)]
        last = later[-1] if later else run
        label = run.command.label
        if run.failure is None:
            if run.command.work in _PROVING and not later:
                passing.setdefault(run.command.family, _passes(run))
            continue
        if last.failure is None:
            mended.setdefault(run.command.family, f"{_first_failure(run)}; {_now(last)}.")
            was_fixed = was_fixed or (run.command.work in _PROVING and not run.after_change)
        elif last is run and run.failure == "interrupted":
            failing.setdefault(run.command.family, f"`{label}` was interrupted before it ended.")
        elif last is run:
            earlier = [other.failure for other in runs[:at] if other.failure and run.command.covers(other.command)]
            gone = [one_line(failure, 110) for failure in dict.fromkeys(earlier) if failure != run.failure]
            also = f" (earlier errors that are gone: {'; '.join(gone[:2])})" if gone else ""
            failing.setdefault(
                run.command.family, f"`{label}` {'still fails' if gone else 'fails'}: {run.failure}{also}."
            )
    verified = tuple(passing.values())
    for family in mended:
        passing.pop(family, None)
    return Outcomes(
        verified=verified,
        mended=tuple(mended.values()),
        failing=tuple(failing.values()),
        passing=tuple(passing.values()),
        done=tuple(dict.fromkeys(filter(None, map(_done, runs)))),
        was_fixed=was_fixed,
    )


def _first_failure(run: Run) -> str:
    return f"`{run.command.label}` failed {'on the way ' if run.after_change else ''}with {run.failure}"


def _now(run: Run) -> str:
    return f"it passes now ({run.passed})" if run.passed else "it passes now"


def _passes(run: Run) -> str:
    return f"`{run.command.label}` passes ({run.passed})." if run.passed else f"`{run.command.label}` passes."


def _done(run: Run) -> str:
    """Say what a command has done to the world outside the edited files."""
    if run.failure is not None:
        return ""
    match run.command.work:
        case Work.COMMIT:
            message = commit_message(run.line)
            return f"Committed: {message}" if message else "Committed the changes."
        case Work.INSTALL | Work.CHANGE:
            return f"Ran `{run.command.label}`."
        case _:
            return ""
