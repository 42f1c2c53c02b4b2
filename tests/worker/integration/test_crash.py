"""Killed at any moment, the worker loses nothing that it has acknowledged and generates nothing twice."""

from __future__ import annotations

import http.client
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.support.processes import clean_environment
from tests.support.waiting import eventually_sync
from tests.worker.parts import edit, headers, prompt, stop

_SEED = 20_260_102
_KILLS = 10
_TURNS_A_LIFE = 25


@dataclass(slots=True)
class _Hooks:
    """Sends turns as hooks do: what is not acknowledged is kept and sent again, under the same id."""

    unsent: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    turns: int = 0

    def has_acknowledged(self, number: int) -> bool:
        return len(self.acknowledged) >= number

    def add_turns(self, number: int) -> None:
        for _ in range(number):
            self.turns += 1
            turn = f"turn-{self.turns}"
            events = (
                prompt(f"Fix file {self.turns}.", prompt_id=turn),
                edit(f"file{self.turns}.py", prompt_id=turn),
                stop(f"Fixed the rounding in file{self.turns}.py.", prompt_id=turn),
            )
            self.unsent += [(f"{turn}-{place}", event) for place, event in enumerate(events)]

    def send(self, port: int, token: str) -> None:
        """Send everything until the worker is gone."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with suppress(OSError, http.client.HTTPException):
            while self.unsent:
                event_id, content = self.unsent[0]
                path = f"/v1/hooks/claude-code/{content['hook_event_name']}"
                sent = {**headers(event_id), "Authorization": f"Bearer {token}"}
                connection.request("POST", path, json.dumps(content), sent)
                response = connection.getresponse()
                response.read()
                assert response.status in {200, 201}
                self.acknowledged.add(event_id)
                del self.unsent[0]
        connection.close()


@contextmanager
def _worker(data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, str]]:
    with data_dir.joinpath("test.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "run", "--json"],
            env=clean_environment(data_dir, CLAUDE_MEM_WORKER_PORT="0", CLAUDE_MEM_LOG_LEVEL="warning"),
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield process, ready["port"], data_dir.joinpath(".worker.token").read_text("ascii").strip()
    finally:
        process.kill()
        process.communicate()


def _health(port: int) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/api/health")
        answer: dict[str, object] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()


def test_ten_kills_lose_nothing_and_double_nothing(data_dir: Path) -> None:
    chance, hooks = random.Random(_SEED), _Hooks()
    for _ in range(_KILLS):
        hooks.add_turns(_TURNS_A_LIFE)
        enough = len(hooks.acknowledged) + chance.randrange(2 * _TURNS_A_LIFE)
        with _worker(data_dir) as (process, port, token):
            sending = threading.Thread(target=hooks.send, args=(port, token))
            sending.start()
            eventually_sync(partial(hooks.has_acknowledged, enough), 30)
            process.send_signal(signal.SIGKILL)
            sending.join()
    interrupted = len(hooks.unsent)
    with _worker(data_dir) as (_, port, token):
        hooks.send(port, token)
        eventually_sync(lambda: _health(port)["jobs"] == {"queued": 0, "processing": 0, "failed": 0}, 30)
    assert interrupted, "no kill came while events were being sent"
    assert hooks.unsent == []
    _assert_whole(data_dir, hooks)


def _assert_whole(data_dir: Path, hooks: _Hooks) -> None:
    connection = sqlite3.connect(data_dir / "worker.db")
    try:
        payloads = [json.loads(payload) for (payload,) in connection.execute("SELECT payload FROM events")]
        made = connection.execute("SELECT files_modified FROM observations WHERE kind <> 'summary'").fetchall()
        summaries = connection.execute("SELECT count(*) FROM observations WHERE kind = 'summary'").fetchone()[0]
        words = connection.execute("SELECT count(*) FROM observation_words").fetchone()[0]
        health = connection.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        connection.close()
    stored = Counter((payload["prompt_id"], payload["hook_event_name"]) for payload in payloads)
    wanted = [
        (f"turn-{number}", event)
        for number in range(1, hooks.turns + 1)
        for event in ("UserPromptSubmit", "PostToolUse", "Stop")
    ]
    assert stored == Counter(wanted)
    assert len(hooks.acknowledged) == len(wanted)
    generated = Counter(path for (files,) in made for path in json.loads(files))
    assert generated == Counter(f"file{number}.py" for number in range(1, hooks.turns + 1))
    assert (summaries, words, health) == (1, len(made) + 1, "ok")
