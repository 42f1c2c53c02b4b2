"""A server that misbehaves as its argument says, run by the real `process.run`.

`python -m tests.lifecycle.scripted_server <behaviour>`
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from server_beta.cli import process, readiness
from server_beta.cli.runtime import Runtime
from server_beta.cli.state import StateFolder
from server_beta.domain.errors import ClaudeMemError

_HEALTH: dict[str, tuple[int, dict[str, object]]] = {
    "degraded": (503, {"status": "degraded", "queue": {"redis": {"status": "down", "reason": "it does not answer"}}}),
    "unsure": (200, {"status": "degraded"}),
    "impostor": (200, {"status": "ok", "pid": 1}),
}


async def serve(behaviour: str, stop: asyncio.Event, ready: Callable[[str, int], None]) -> None:
    match behaviour:
        case "broken":
            raise RuntimeError("the secret inside")
        case "leaving":
            ready("127.0.0.1", 1)
        case "writing":
            Path(os.environ["CLAUDE_MEM_DATA_DIR"], "anything").write_text("whatever the server keeps")
            ready("127.0.0.1", 1)
            await stop.wait()
        case "slow to stop":
            ready("127.0.0.1", 1)
            await asyncio.Event().wait()
        case "immortal":
            ready("127.0.0.1", 1)
            while True:
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
        case "stuck":
            ready("127.0.0.1", 1)
            while True:
                time.sleep(0.01)  # noqa: ASYNC251 - that is what being stuck means
        case _:
            await _answer(*_HEALTH[behaviour], stop, ready)


async def _answer(
    status: int, health: dict[str, object], stop: asyncio.Event, ready: Callable[[str, int], None]
) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        body: dict[str, object] = {"status": "ok", "runtime": "server-beta"}
        if path == b"/api/health":
            body = {"runtime": "server-beta", "pid": os.getpid(), **health}
        head = f"HTTP/1.1 {status if path == b'/api/health' else 200} .\r\nContent-Type: application/json\r\n\r\n"
        writer.write(head.encode() + json.dumps(body).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        ready("127.0.0.1", server.sockets[0].getsockname()[1])
        await stop.wait()


def main(behaviour: str) -> int:
    async def behave(stop: asyncio.Event, ready: Callable[[str, int], None]) -> None:
        await serve(behaviour, stop, ready)

    def announce(word: readiness.Word) -> None:
        sys.stdout.write(f"{type(word).__name__}\n")
        sys.stdout.flush()

    folder = StateFolder(Path(os.environ["CLAUDE_MEM_DATA_DIR"]), "server-beta")
    runtime = Runtime("server-beta", "server_beta", "0", "CLAUDE_MEM_SERVER_PORT", prefers_uvloop=True)
    try:
        process.run(runtime, folder, ("127.0.0.1", 0), behave, announce=announce)
    except ClaudeMemError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
