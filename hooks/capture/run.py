"""From the client's JSON to the runtime or the spool: the whole life of one hook process, in order."""

from __future__ import annotations

import os
import sys
from itertools import islice

from .deadline import Deadline, Interrupted, Interrupts
from .delivery import BAD_EVENT, FAILED, STORED, Outcome, deliver, printable
from .document import parse_object, quoted
from .event import Event
from .route import choose_route
from .session import find_session
from .settings import Settings, home_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from functools import partial

    from .route import Route
    from .session import Session
else:
    from _functools import partial  # built in; `functools` takes as long as the whole hook

CAPTURE_SECONDS = 0.25
BUDGETS = {
    "SessionStart": 2.0,
    "UserPromptSubmit": 1.0,
    "PreToolUse": CAPTURE_SECONDS,
    "PostToolUse": CAPTURE_SECONDS,
    "PostToolUseFailure": CAPTURE_SECONDS,
    "Stop": CAPTURE_SECONDS,
    "SubagentStop": CAPTURE_SECONDS,
    "PreCompact": CAPTURE_SECONDS,
    "PostCompact": CAPTURE_SECONDS,
    "SessionEnd": CAPTURE_SECONDS,
}
# What is left of the budget when waiting ends: for a file on the disk and the interpreter's own end.
_RESERVE_SECONDS = 0.06
# How long the next piece of an event may take when the time for waiting is over.
_LAST_WORD_SECONDS = 0.03
_QUESTIONS = ("PreToolUse",)
_DRAINING_EVENTS = ("SessionStart", "Stop")
# In `mcp__claude-mem__search`, and in `mcp__plugin_<plugin>_claude-mem__search` when a plugin brings the server.
_OWN_SERVER = "claude-mem__"
_STDIN_MAX_BYTES = 64 * 1024 * 1024
_BODY_MAX_BYTES = 5 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_CHUNKS_BETWEEN_LOOKS = 16


def run(name: str, environment: Mapping[str, str]) -> None:
    """Handle one event; an unknown name is nobody's event."""
    budget = BUDGETS.get(name)
    if budget is None:
        return
    deadline = Deadline.of_process(budget).less(_RESERVE_SECONDS)
    interrupts = Interrupts()
    interrupts.install(deadline)
    settings = Settings(environment)
    raw = _read_stdin(interrupts)
    try:
        _Capture(name, environment, settings, deadline, interrupts).handle(raw)
    except Exception as error:
        from .journal import describe, log

        log(settings.data_dir, name, f"failed: {describe(error)}")


def _read_stdin(interrupts: Interrupts) -> bytes:
    """Read to the end, or to the deadline: a client that leaves the pipe open may have said all it has to say."""
    if sys.stdin is None:  # closed: the number 0 may belong to another file by now
        return b""
    chunks: list[bytes] = []
    try:
        with interrupts:
            # No line of Python stands between reading a chunk and keeping it, so no signal can come between them.
            reading = iter(partial(os.read, 0, _CHUNK_BYTES), b"")
            while sum(map(len, chunks)) <= _STDIN_MAX_BYTES:
                known = len(chunks)
                chunks.extend(islice(reading, _CHUNKS_BETWEEN_LOOKS))
                if len(chunks) == known:
                    break
    except Interrupted:
        _take_last_words(chunks)
    except OSError:
        pass
    return b"".join(chunks)


def _take_last_words(chunks: list[bytes]) -> None:
    """Read what was said when it is too late to wait: on a busy machine nothing may have been read yet."""
    from select import select

    try:
        while sum(map(len, chunks)) <= _STDIN_MAX_BYTES and select((0,), (), (), _LAST_WORD_SECONDS)[0]:
            chunk = os.read(0, _CHUNK_BYTES)
            if not chunk:
                break
            chunks.append(chunk)
    except OSError:
        return


class _Capture:
    """The steps for one event; from the moment it exists, whatever fails ends in the spool."""

    def __init__(
        self, name: str, environment: Mapping[str, str], settings: Settings, deadline: Deadline, interrupts: Interrupts
    ) -> None:
        self._name = name
        self._environment = environment
        self._settings = settings
        self._deadline = deadline
        self._interrupts = interrupts

    def handle(self, raw: bytes) -> None:
        if self._settings.flag("CLAUDE_MEM_DISABLED") or self._settings.flag("CLAUDE_MEM_INTERNAL"):
            return
        text = raw.decode("utf-8-sig", "replace")
        payload = parse_object(text)
        if payload is None:
            self._log(f"dropped: {len(raw)} bytes on stdin are not one JSON object")
            return
        cwd = str(payload.get("cwd") or "")
        folder = self._environment.get("CLAUDE_PROJECT_DIR") or cwd or os.getcwd()
        if self._is_skipped_tool(payload) or self._is_excluded(folder, cwd):
            return
        event = self._event(text, payload)
        session_id = str(payload.get("session_id") or "")
        start = None
        if self._name == "SessionStart":
            from .session_start import SessionStart

            start = SessionStart(self._settings, self._environment, session_id)
        session = self._session(session_id, folder)
        if session is not None:
            if self._is_excluded(*session.folders):
                return
            event.headers += session.headers
        route = choose_route(self._settings)
        if start is not None:
            start.adopt_unrouted(route)
        outcome = self._hand_over(event, route)
        notice = start.notice(outcome, route, session) if start is not None else ""
        self._answer(outcome.text if outcome.kind == STORED else "", notice)
        if outcome.kind == STORED and route.is_keyed and route.target and self._name in _DRAINING_EVENTS:
            # Nobody else can: a remote runtime does not see the spool of this machine, a local one has another key.
            from .drain import drain

            drain(route.spool, route.target, self._deadline, self._interrupts)

    def _hand_over(self, event: Event, route: Route) -> Outcome:
        """Deliver the event, or keep it where the runtime will find it."""
        try:
            outcome = deliver(
                route.target, event.path, event.header_lines, event.body, self._deadline, self._interrupts
            )
        except Exception as error:
            from .journal import describe

            outcome = Outcome(FAILED, describe(error))
        if outcome.kind == BAD_EVENT:
            self._log(f"{event.id} dropped: the runtime refused it with {outcome.text}")
        elif outcome.kind != STORED and self._name not in _QUESTIONS:
            self._spool(event, route, outcome)
        return outcome

    def _answer(self, text: str, notice: str = "") -> None:
        """Print the runtime's answer, with a notice for the user where the runtime has none itself."""
        line, refusal = printable(self._name, text)
        if refusal:
            self._log(f"the runtime's answer was not printed: {refusal}")
        if notice and '"systemMessage"' not in line:
            message = f'"systemMessage":{quoted(notice)}'
            line = f"{{{message},{line[1:]}" if line else f"{{{message}}}"
        if line and sys.stdout is not None:
            self._write(line.encode("utf-8") + b"\n")

    def _event(self, text: str, payload: Mapping[str, object]) -> Event:
        body = text.encode("utf-8")
        is_private = False
        lowered = body.lower()
        if b"private" in lowered or b"\\u00" in lowered:
            from .privacy import cut_private, may_hold_private, without_private

            if may_hold_private(lowered):
                body = without_private(text).encode("utf-8")
                prompt = payload.get("prompt")
                is_private = isinstance(prompt, str) and prompt != "" and cut_private(prompt) == ""
        if len(body) > _BODY_MAX_BYTES:
            from .shrink import shrunk

            body = shrunk(body, _BODY_MAX_BYTES)
        event = Event(self._name, body)
        if is_private:
            event.headers.append(("X-Claude-Mem-Private", "1"))
        return event

    def _session(self, session_id: str, folder: str) -> Session | None:
        try:
            return find_session(self._settings.data_dir, session_id, folder, afresh=self._name == "SessionStart")
        except (OSError, ValueError, RecursionError) as error:
            from .journal import describe

            self._log(f"the project was not found: {describe(error)}")
            return None

    def _is_skipped_tool(self, payload: Mapping[str, object]) -> bool:
        tool = payload.get("tool_name")
        if not isinstance(tool, str):
            return False
        is_own = tool.startswith("mcp__") and _OWN_SERVER in tool
        return is_own or tool in self._settings.words("CLAUDE_MEM_SKIP_TOOLS")

    def _is_excluded(self, *folders: str) -> bool:
        globs = self._settings.words("CLAUDE_MEM_EXCLUDED_PROJECTS")
        if not globs:
            return False
        from .exclusion import is_excluded

        return is_excluded(folders, globs, home_folder(self._environment))

    def _spool(self, event: Event, route: Route, outcome: Outcome) -> None:
        from .spool import SPOOL_MAX_BYTES, store

        limit = self._settings.number("CLAUDE_MEM_SPOOL_MAX_BYTES", SPOOL_MAX_BYTES)
        try:
            store(self._settings.data_dir, route.spool_name, event.spool_name, event.spool_content, limit)
        except OSError as error:
            self._log(f"{event.id} lost: {outcome.text}, and the spool failed: {error.strerror}")
        else:
            self._log(f"{event.id} spooled: {outcome.text}")

    def _write(self, line: bytes) -> None:
        try:
            if self._interrupts.reason:
                os.write(1, line)  # the deadline is over: a notice of one sentence, which any pipe takes at once
                return
            with self._interrupts:
                view = memoryview(line)
                while view:
                    view = view[os.write(1, view) :]
        except (Interrupted, OSError) as error:
            self._log(f"stdout was not written: {error}")

    def _log(self, message: str) -> None:
        from .journal import log

        log(self._settings.data_dir, self._name, message)
