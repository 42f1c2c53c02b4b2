"""What only the start of a session does: wake the runtime, tell the user once what is wrong, tidy up."""

from __future__ import annotations

import os
import time

from .delivery import BAD_EVENT, FAILED, NO_ANSWER, NOT_RUNNING, REFUSED_KEY, STORED
from .route import SERVER_BETA, UNROUTED
from .session import save_session
from .spool import SPOOL_MAX_BYTES, adopt, dropped_count, remove, waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .delivery import Outcome
    from .route import Route
    from .session import Session
    from .settings import Settings

_SESSION_KEPT_SECONDS = 30 * 86400


class SessionStart:
    """Made before the session is looked up, because that leaves the trace by which a first use is known."""

    def __init__(self, settings: Settings, environment: Mapping[str, str], session_id: str) -> None:
        self._settings = settings
        self._environment = environment
        self._session_id = session_id
        self._sessions = os.path.join(settings.data_dir, "sessions")
        self._is_first_use = not os.path.isdir(self._sessions)

    def adopt_unrouted(self, route: Route) -> None:
        """Give the route the events that were captured while no known runtime was chosen."""
        if route.runtime != UNROUTED and self._settings.data_dir:
            limit = self._settings.number("CLAUDE_MEM_SPOOL_MAX_BYTES", SPOOL_MAX_BYTES)
            adopt(self._settings.data_dir, UNROUTED, route.spool_name, limit)

    def notice(self, outcome: Outcome, route: Route, session: Session | None) -> str:
        """Wake a local runtime that is not running, and give the user's sentence; "" when all is well or was said."""
        spawned = False
        if outcome.kind == NOT_RUNNING and not route.is_remote and not route.problem and self._settings.data_dir:
            from .daemon import spawn_once

            spawned = spawn_once(self._settings.data_dir, route.runtime, self._environment)
        self._prune()
        sentence = self._sentence(outcome, route, spawned)
        kind = outcome.kind if outcome.kind != STORED or not sentence else "settings"
        if session is not None and sentence:
            if session.notice == kind:
                return ""
            session.notice = kind
            save_session(self._settings.data_dir, self._session_id, session)
        return sentence

    def _sentence(self, outcome: Outcome, route: Route, spawned: bool) -> str:
        name = f"the {route.runtime} runtime"
        if not self._settings.data_dir:
            return "claude-mem found no home folder and keeps nothing; set CLAUDE_MEM_DATA_DIR to a folder of yours."
        if outcome.kind == STORED:
            return f"claude-mem: {self._settings.problem}; mend it or move it away." if self._settings.problem else ""
        if outcome.kind == BAD_EVENT:
            return (
                f"claude-mem: {name} refused this session's start ({outcome.text}); update plugin and runtime together."
            )
        if not os.access(route.spool, os.W_OK):
            return f"claude-mem cannot write to {self._settings.data_dir} and loses what happens; make it writable."
        waits = self._waits(route)
        if route.problem:
            return f"claude-mem: {route.problem} {waits}"
        if outcome.kind == REFUSED_KEY:
            return f"claude-mem: {name} refused the key ({outcome.text}); {self._key_advice(route)}. {waits}"
        if outcome.kind == NO_ANSWER:
            local_advice = f"try `claude-mem {self._command(route, 'restart')}`"
            advice = "check CLAUDE_MEM_SERVER_URL" if route.is_remote else local_advice
            return f"claude-mem: {name} does not answer; {advice}. {waits}"
        if outcome.kind == FAILED:
            advice = "see its log" if route.is_remote else f"see `claude-mem {self._command(route, 'doctor')}`"
            return f"claude-mem: {name} could not store an event ({outcome.text}); {advice}. {waits}"
        if route.is_remote:
            return f"claude-mem: {name} cannot be reached ({outcome.text}); check CLAUDE_MEM_SERVER_URL. {waits}"
        if self._settings.problem:
            return f"claude-mem: {self._settings.problem}; mend it or move it away. {waits}"
        if self._is_first_use:
            return "claude-mem is starting for the first time; memory begins with this session."
        doing = "was not running and is being started" if spawned else "is not running yet"
        return f"claude-mem: {name} {doing}. {waits}"

    def _waits(self, route: Route) -> str:
        count = len(waiting(route.spool))
        dropped = dropped_count(route.spool)
        lost = f" ({dropped} older ones were dropped)" if dropped else ""
        subject = "1 event waits" if count == 1 else f"{count} events wait"
        return f"{subject} on disk until it runs{lost}."

    def _key_advice(self, route: Route) -> str:
        if route.is_keyed:
            return "set CLAUDE_MEM_SERVER_API_KEY to a valid key"
        return f"run `claude-mem {self._command(route, 'restart')}`"

    def _command(self, route: Route, command: str) -> str:
        return f"server-{command}" if route.runtime == SERVER_BETA else command

    def _prune(self) -> None:
        oldest = time.time() - _SESSION_KEPT_SECONDS
        try:
            with os.scandir(self._sessions) as entries:
                for entry in entries:
                    if entry.stat(follow_symlinks=False).st_mtime < oldest:
                        remove(entry.path)
        except OSError:
            return
