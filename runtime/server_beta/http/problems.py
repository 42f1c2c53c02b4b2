"""Errors on the wire: RFC 9457 problems that also carry the members which the peer's clients read."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from ..domain.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    Issue,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from .exchange import json_response

PROBLEM_JSON = "application/problem+json"


class Problem(Struct):
    """A refusal: RFC 9457, with the peer's `error` and `message`, and every issue of a request that is not valid."""

    type: str
    title: str
    status: int
    detail: str
    error: str
    message: str
    issues: tuple[Issue, ...] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class _Kind:
    status: HTTPStatus
    error: str


_KINDS: dict[type, _Kind] = {
    InvalidInput: _Kind(HTTPStatus.BAD_REQUEST, "ValidationError"),
    Unauthorized: _Kind(HTTPStatus.UNAUTHORIZED, "Unauthorized"),
    Forbidden: _Kind(HTTPStatus.FORBIDDEN, "Forbidden"),
    NotFound: _Kind(HTTPStatus.NOT_FOUND, "NotFound"),
    Conflict: _Kind(HTTPStatus.CONFLICT, "Conflict"),
    PayloadTooLarge: _Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "PayloadTooLarge"),
    TooManyRequests: _Kind(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests"),
    Unavailable: _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Unavailable"),
}
_RETRY_AFTER_UNAVAILABLE = 2
_INTERNAL_MESSAGE = "The server failed; its log tells more under this request id."
_MAX_CAUSES = 8


def is_expected(error: Exception) -> bool:
    """Whether the error has an answer of its own; any other is a fault of ours."""
    return _kind(error) is not None or isinstance(error, web.HTTPException)


def problem_of(error: Exception) -> web.Response:
    """Turn an error into its answer; the text of an unexpected one stays inside."""
    if isinstance(error, web.HTTPException):
        return _routing_problem(error)
    kind = _kind(error)
    if kind is None:
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError", _INTERNAL_MESSAGE)
    issues = error.issues if isinstance(error, InvalidInput) else ()
    response = _problem(kind.status, kind.error, str(error), issues)
    match error:
        case Unauthorized():
            response.headers["WWW-Authenticate"] = "Bearer"
        case TooManyRequests():
            response.headers["Retry-After"] = str(error.retry_after_seconds)
        case Unavailable():
            response.headers["Retry-After"] = str(_RETRY_AFTER_UNAVAILABLE)
        case _:
            pass
    return response


def whereabouts(error: BaseException) -> list[str]:
    """Name an error and its causes by type and place; messages are left out because they may quote payloads."""
    lines: list[str] = []
    cause: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if cause is None:
            break
        lines.append(type(cause).__qualname__)
        frames = traceback.extract_tb(cause.__traceback__)
        lines += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        cause = cause.__cause__ or cause.__context__
    return lines


def _kind(error: Exception) -> _Kind | None:
    return next((_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS), None)


def _routing_problem(error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = _problem(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", f"This path answers {allowed}.")
        response.headers["Allow"] = allowed
        return response
    if isinstance(error, web.HTTPNotFound):
        return _problem(HTTPStatus.NOT_FOUND, "NotFound", "There is no such path.")
    status = HTTPStatus(error.status)
    return _problem(status, status.phrase.replace(" ", ""), status.description or status.phrase)


def _problem(status: HTTPStatus, error: str, message: str, issues: tuple[Issue, ...] = ()) -> web.Response:
    body = Problem("about:blank", status.phrase, int(status), message, error, message, issues or UNSET)
    return json_response(body, status, PROBLEM_JSON)
