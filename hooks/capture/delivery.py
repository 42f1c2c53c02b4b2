"""What came of handing one event over, and what may be said to the client about it."""

from __future__ import annotations

from .deadline import Interrupted
from .document import Number, parse_object, single_line
from .post import NoAnswer, post

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .deadline import Deadline, Interrupts
    from .post import Target

STORED = "stored"
BAD_EVENT = "bad-event"
NOT_RUNNING = "not-running"
NO_ANSWER = "no-answer"
REFUSED_KEY = "refused-key"
FAILED = "failed"

_BAD_EVENT_STATUSES = (400, 413, 422)
_REFUSED_KEY_STATUSES = (401, 403)
_CONTEXT_EVENTS = ("SessionStart", "UserPromptSubmit", "PreToolUse")
_SILENT_EVENTS = ("SessionEnd",)


class Outcome:
    """`kind` is one of the constants above; `text` is the answer of a stored event, the reason for any other."""

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text


def deliver(
    target: Target | None, path: str, header_lines: bytes, body: bytes, deadline: Deadline, interrupts: Interrupts
) -> Outcome:
    """Try once to hand an event over."""
    if target is None:
        return Outcome(NOT_RUNNING, "no runtime is known to listen")
    try:
        with interrupts:
            status, answer = post(target, path, header_lines, body, deadline)
    except NoAnswer as failure:
        return Outcome(NO_ANSWER if failure.connected else NOT_RUNNING, failure.reason)
    except Interrupted as interruption:
        return Outcome(NO_ANSWER, str(interruption))
    if 200 <= status < 300:
        return _stored(answer)
    if status in _BAD_EVENT_STATUSES:
        return Outcome(BAD_EVENT, f"status {status}")
    return Outcome(REFUSED_KEY if status in _REFUSED_KEY_STATUSES else FAILED, f"status {status}")


def _stored(answer: bytes) -> Outcome:
    """Believe a success only from something that answers like the runtime: a JSON object, or nothing at all."""
    try:
        text = answer.decode("utf-8")
    except UnicodeDecodeError:
        return Outcome(FAILED, "the answer is not text")
    if text.strip() and parse_object(text) is None:
        return Outcome(FAILED, "the answer is not a JSON object")
    return Outcome(STORED, text)


def printable(event: str, text: str) -> tuple[str, str]:
    """Give the answer as the one line for stdout, or "" and why not.

    Only what informs may pass: a memory never decides about permissions and never stops a turn. The client drops an
    answer whole when a part of it does not fit the event, so that is refused whole here.
    """
    answer = parse_object(text)
    if not answer:
        return "", ""
    for name, value in answer.items():
        if name == "hookSpecificOutput":
            if event not in _CONTEXT_EVENTS or not _is_context(event, value):
                return "", "its hookSpecificOutput does not fit the event"
        elif name == "systemMessage":
            if event in _SILENT_EVENTS or not _is_text(value):
                return "", "its systemMessage does not fit the event"
        elif name != "suppressOutput" or not isinstance(value, bool):
            return "", f"it holds {name[:40]}"
    return single_line(text), ""


def _is_context(event: str, value: object) -> bool:
    return (
        isinstance(value, dict)
        and set(value) <= {"hookEventName", "additionalContext"}
        and value.get("hookEventName") == event
        and _is_text(value.get("additionalContext"))
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)
