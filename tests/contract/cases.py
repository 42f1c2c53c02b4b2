"""Contract cases: JSON files of steps, and the values that make each run of a case a world of its own."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.contract.runtimes import Address, Answer

CASES = Path(__file__).parent / "cases"
SESSIONS = Path(__file__).parents[1] / "data" / "sessions"
ROOT = "/home/dev/shop"

_VARIABLE = re.compile(r"\$\{([a-z]+)(?::([A-Za-z0-9-]+))?\}")


@dataclass(frozen=True, slots=True)
class Case:
    """One case: what it shows, and its steps."""

    name: str
    about: str
    steps: tuple[Mapping[str, Any], ...]


@dataclass(slots=True)
class World:
    """The names that one run of a case uses, so that no run sees another's; and what its steps saved."""

    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    saved: dict[str, object] = field(default_factory=dict)

    def fill(self, value: Any) -> Any:
        """Replace `${…}` and build what `$repeat` asks for."""
        match value:
            case str():
                whole = _VARIABLE.fullmatch(value)
                return self._value(whole) if whole else _VARIABLE.sub(lambda found: str(self._value(found)), value)
            case dict() if set(value) == {"$repeat"}:
                text, times = value["$repeat"]
                return self.fill(text) * times
            case dict():
                return {self.fill(name): self.fill(member) for name, member in value.items()}
            case list():
                return [self.fill(item) for item in value]
            case _:
                return value

    def uuid(self, name: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.run}/{name}"))

    def _value(self, found: re.Match[str]) -> object:
        kind, name = found[1], found[2] or ""
        match kind:
            case "project":
                return f"git:example.test/{self.run}/{name or 'shop'}"
            case "uuid" | "session" | "turn":
                return self.uuid(f"{kind}-{name}")
            case "saved":
                return self.saved[name]
            case "now":
                return int(time.time() * 1000)
            case _:
                raise ValueError(f"unknown variable {found[0]}")


def load_cases() -> tuple[Case, ...]:
    """Read every case."""
    loaded = (json.loads(path.read_text("utf-8")) | {"name": path.stem} for path in sorted(CASES.glob("*.json")))
    return tuple(Case(case["name"], case["about"], tuple(case["steps"])) for case in loaded)


def send(address: Address, world: World, step: Mapping[str, Any]) -> Answer:
    """Send the request of a step: a hook's, or any other."""
    if "hook" in step:
        return _send_hook(address, world, step)
    request = step["request"]
    method, _, path = request["to"].partition(" ")
    headers = _headers({"Authorization": f"Bearer {address.key}"}, world.fill(request.get("headers", {})))
    return address.ask(method, _encoded(world.fill(path)), headers, _body(world, request))


def replay(address: Address, world: World, name: str) -> Answer:
    """Send a recorded session, event by event, as a session of this world; returns the last answer."""
    lines = SESSIONS.joinpath(name).read_text("utf-8").splitlines()
    answer: Answer | None = None
    for number, line in enumerate(lines):
        recorded = json.loads(line)
        body = recorded["input"]
        root = body["cwd"]
        body["session_id"] = world.uuid(body["session_id"])
        headers = _hook_headers(world, f"{name}-{number}", {"root": root}) | {"Authorization": f"Bearer {address.key}"}
        answer = address.ask("POST", f"/v1/hooks/claude-code/{recorded['event']}", headers, json.dumps(body).encode())
        assert answer.status in {200, 201}, f"{name} line {number + 1}: {answer.status} {answer.body!r}"
    assert answer is not None, f"{name} is empty"
    return answer


def _send_hook(address: Address, world: World, step: Mapping[str, Any]) -> Answer:
    event = step["hook"]
    given = step.get("input", {})
    body = {
        "session_id": "${session}",
        "prompt_id": "${turn}",
        "cwd": ROOT,
        "hook_event_name": event,
        **given,
    }
    content = json.dumps({name: value for name, value in world.fill(body).items() if value is not None}).encode()
    headers = _hook_headers(world, step.get("id") or str(uuid.uuid4()), world.fill(step))
    headers = _headers({"Authorization": f"Bearer {address.key}", **headers}, world.fill(step.get("headers", {})))
    return address.ask("POST", f"/v1/hooks/claude-code/{event}", headers, content)


def _hook_headers(world: World, event: str, step: Mapping[str, Any]) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "X-Claude-Mem-Event-Id": world.uuid(f"event-{event}"),
        "X-Claude-Mem-Occurred-At": str(int(time.time() * 1000) - step.get("secondsAgo", 0) * 1000),
        "X-Claude-Mem-Project": quote(step.get("project", world.fill("${project}")), safe=""),
        "X-Claude-Mem-Project-Name": quote(step.get("projectName", "shop"), safe=""),
        "X-Claude-Mem-Project-Root": quote(step.get("root", ROOT), safe=""),
    }
    if step.get("spooled"):
        headers["X-Claude-Mem-Spooled"] = "1"
    return headers


def _headers(common: dict[str, str], given: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in (common | dict(given)).items() if value is not None}


def _body(world: World, request: Mapping[str, Any]) -> bytes | None:
    if "raw" in request:
        raw: str = world.fill(request["raw"])
        return raw.encode("utf-8", "surrogatepass")
    return json.dumps(world.fill(request["json"])).encode() if "json" in request else None


def _encoded(path: str) -> str:
    return quote(path, safe="/?&=%-._~")
