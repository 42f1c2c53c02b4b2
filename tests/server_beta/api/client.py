"""A client that sends what no client should, byte by byte, and looks at each answer as it came."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

# What only the inside of the server could have said.
_INTERNALS = re.compile(
    r"asyncpg|Traceback|msgspec|psycopg|aiohttp|SELECT |INSERT |\brelation\b|constraint|\.py\b|/runtime/|site-packages"
)
_PROBLEM_MEMBERS = {"type", "title", "status", "detail", "error", "message"}


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """An answer, whole; of a stream its beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:1000]!r}"

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def assert_problem(self, *statuses: int) -> None:
        """See a refusal as the API promises it: one of these statuses, readable by both kinds of client, no more."""
        assert self.status in statuses, self
        assert self.headers["content-type"].partition(";")[0] == "application/problem+json", self
        problem = self.json
        assert problem.keys() - {"issues"} == _PROBLEM_MEMBERS, problem
        assert problem["status"] == self.status, problem
        assert problem["error"], problem
        assert problem["message"], problem
        assert not _INTERNALS.search(self.body.decode()), problem


class Client:
    """One connection, opened again when the server has closed it."""

    def __init__(self, port: int, key: str | None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
        self.key = key

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; a body in pieces goes without a length."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        if not isinstance(body, bytes | None):
            sent["Transfer-Encoding"] = "chunked"
        # A server that has seen enough answers before all was sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.request(method, target, body, sent, encode_chunked=not isinstance(body, bytes | None))
        try:
            response = self._connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            if named.get("content-type", "").startswith("text/event-stream"):
                answer = Answer(response.status, named, b"")
                self._connection.close()
                return answer
            return Answer(response.status, named, response.read())
        except BaseException:
            self._connection.close()
            raise

    def send(self, method: str, target: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a value as JSON."""
        return self.ask(method, target, json.dumps(body).encode(), headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
