"""What each route takes, as the value that its service is called with; raises InvalidInput listing every issue."""

from __future__ import annotations

from collections.abc import Mapping

from multidict import MultiMapping

from ..domain.ids import ProjectId, SessionId
from ..domain.observation_ids import is_observation_id
from ..domain.records import ObservationFilter, SearchRequest, TimelineRequest
from .cursors import read_cursor
from .validation import Members

_WORD = 64
_NAME = 256
_KEY = 4096
_QUESTION = 4000
_PATH = 4096
_CURSOR = 200
_MOST_IDS = 100
_ID_WANTED = "must be an id, or the eight digits that a page shows of one"


def context_query(query: MultiMapping[str]) -> tuple[ProjectId | None, str | None]:
    """Read which project's context to render: by id, or by key."""
    members = Members.of_query(query, ("projectId", "project"))
    project_id, key = members.uuid("projectId"), members.text("project", _KEY)
    if members.has("projectId") == members.has("project"):
        members.wrong("projectId", "or project is needed, one of them", "required")
    members.check()
    return None if project_id is None else ProjectId(project_id), key


def projects_query(query: MultiMapping[str]) -> tuple[str | None, str | None]:
    """Read which projects to list: all, or those with this key or name."""
    members = Members.of_query(query, ("key", "name"))
    key, name = members.text("key", _KEY), members.text("name", _NAME)
    members.check()
    return key, name


def observations_query(query: MultiMapping[str]) -> ObservationFilter:
    """Read which observations to list."""
    known = ("projectId", "kind", "serverSessionId", "since", "until", "cursor", "limit")
    members = Members.of_query(query, known)
    project_id, session_id = members.uuid("projectId"), members.uuid("serverSessionId")
    kind, cursor = members.text("kind", _WORD), members.text("cursor", _CURSOR)
    since, until = members.instant("since"), members.instant("until")
    limit = members.whole("limit", 50, 1, 200)
    members.check()
    return ObservationFilter(
        project_id=None if project_id is None else ProjectId(project_id),
        kind=kind,
        session_id=None if session_id is None else SessionId(session_id),
        since=since,
        until=until,
        after=None if cursor is None else read_cursor(cursor),
        limit=limit,
    )


def timeline_query(query: MultiMapping[str]) -> TimelineRequest:
    """Read around which observation to look, and how far."""
    members = Members.of_query(query, ("anchor", "before", "after"))
    anchor = members.text("anchor", _NAME)
    before, after = members.whole("before", 5, 0, 50), members.whole("after", 5, 0, 50)
    if not members.has("anchor"):
        members.wrong("anchor", "is required", "required")
    elif anchor is not None and not is_observation_id(anchor):
        members.wrong("anchor", _ID_WANTED, "invalid_value")
    members.check()
    return TimelineRequest(anchor or "", before, after)


def named_body(body: Mapping[str, object]) -> tuple[str, ...]:
    """Read the ids of observations."""
    members = Members.of_body(body)
    ids = members.words("ids", _MOST_IDS, _NAME)
    if not members.has("ids") or body["ids"] == []:
        members.wrong("ids", "is required and holds at least one id", "required")
    for index, text in enumerate(ids):
        if not is_observation_id(text):
            members.wrong(f"ids[{index}]", _ID_WANTED, "invalid_value")
    members.check()
    return ids


def search_body(body: Mapping[str, object]) -> SearchRequest:
    """Read a question to the store; empty lists filter nothing."""
    members = Members.of_body(body)
    query, project_id = members.text("query", _QUESTION), members.uuid("projectId")
    kinds, files = members.words("kinds", 50, _WORD), members.words("files", 100, _PATH)
    since, until = members.instant("since"), members.instant("until")
    limit, offset = members.whole("limit", 20, 1, 100), members.whole("offset", 0, 0, 10_000)
    if not members.has("query"):
        members.wrong("query", "is required", "required")
    members.check()
    return SearchRequest(
        query=query or "",
        project_id=None if project_id is None else ProjectId(project_id),
        kinds=kinds,
        since=since,
        until=until,
        files=files,
        limit=limit,
        offset=offset,
    )
