"""Every issue of a bad request is found and named; nothing that a client sends breaks the finder."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from multidict import MultiDict

from server_beta.domain.errors import InvalidInput
from server_beta.http.cursors import read_cursor, write_cursor
from server_beta.http.events import Batch, EventBody, IngestQuery
from server_beta.http.observations import ObservationsQuery
from server_beta.http.recall import ContextQuery, SearchBody
from server_beta.http.sessions import SessionBody
from server_beta.http.validation import checked, checked_query

EVENT = {
    "projectId": "00000000-0000-0000-0000-000000000002",
    "sourceType": "api",
    "eventType": "edit",
    "occurredAtEpoch": 1_767_323_045_678,
}


def issues_of(error: InvalidInput) -> set[tuple[str, str]]:
    return {(issue.path, issue.code) for issue in error.issues}


def test_an_event_becomes_a_domain_value() -> None:
    event = checked({**EVENT, "payload": {"a": [1]}, "unknown": True, "sourceEventId": None}, EventBody).to_domain()
    assert event.project_id == UUID(int=2)
    assert event.occurred_at == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert event.payload == {"a": [1]}
    assert (event.platform_source, event.source_adapter, event.source_event_id) == ("api", "api", None)


def test_an_integer_may_be_written_with_a_fraction_of_nothing() -> None:
    assert checked([{**EVENT, "occurredAtEpoch": 3.0}], Batch)[0].occurred_at_epoch == 3
    assert checked({"query": "x", "limit": 5.0, "since": 7.0}, SearchBody).limit == 5
    with pytest.raises(InvalidInput) as refused:
        checked([{**EVENT, "occurredAtEpoch": 3.5, "payload": {"n": 1.0}}], Batch)
    assert issues_of(refused.value) == {("$[0].occurredAtEpoch", "invalid_type")}


def test_what_is_stored_as_it_came_keeps_its_fractions() -> None:
    payload = checked({**EVENT, "occurredAtEpoch": 3.0, "payload": {"n": 1.0}}, EventBody).payload
    assert isinstance(payload, dict)
    assert isinstance(payload["n"], float)


def test_every_issue_is_listed() -> None:
    with pytest.raises(InvalidInput) as refused:
        checked({"projectId": "x", "sourceType": "nope" * 5000, "occurredAtEpoch": -1, "metadata": []}, EventBody)
    assert issues_of(refused.value) == {
        ("$.projectId", "invalid_value"),
        ("$.sourceType", "invalid_choice"),
        ("$.eventType", "required"),
        ("$.occurredAtEpoch", "invalid_value"),
        ("$.metadata", "invalid_type"),
    }
    assert all(len(issue.message) < 300 for issue in refused.value.issues)


def test_issues_of_a_batch_name_the_item() -> None:
    with pytest.raises(InvalidInput) as refused:
        checked([EVENT, {**EVENT, "eventType": ""}, 7, {**EVENT, "metadata": 1}], list[EventBody])
    assert issues_of(refused.value) == {
        ("$[1].eventType", "invalid_value"),
        ("$[2]", "invalid_type"),
        ("$[3].metadata", "invalid_type"),
    }


def test_issues_inside_of_an_optional_object_are_found() -> None:
    with pytest.raises(InvalidInput) as refused:
        checked({"project": {"key": 1, "name": ""}, "agentId": 2}, SessionBody)
    assert issues_of(refused.value) == {
        ("$.project.key", "invalid_type"),
        ("$.project.name", "invalid_value"),
        ("$.agentId", "invalid_type"),
    }


@pytest.mark.parametrize("body", [{}, {"projectId": EVENT["projectId"], "project": {"key": "k"}}])
def test_a_session_needs_one_project(body: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="either projectId or project"):
        checked(body, SessionBody)


@pytest.mark.parametrize("body", [None, [], "x", 1, True])
def test_the_whole_may_be_wrong(body: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(body, EventBody)
    assert issues_of(refused.value) == {("$", "invalid_type")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "x"),
        ("limit", ""),
        ("limit", "9" * 5000),
        ("kind", ""),
        ("kind", "k" * 65),
        ("projectId", "null"),
        ("projectId", "x"),
        ("serverSessionId", "1"),
        ("since", "yesterday"),
        ("since", "-1"),
        ("since", "null"),
        ("until", "2026-01-02T03:04:05"),
        ("cursor", ""),
        ("knd", "bugfix"),
    ],
)
def test_a_bad_filter_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_query(MultiDict({name: value}), ObservationsQuery)
    assert [issue.path for issue in refused.value.issues] == [f"$.{name}"]


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        checked_query(MultiDict([("limit", "1"), ("limit", "2"), ("kind", "x")]), ObservationsQuery)
    assert issues_of(refused.value) == {("$.limit", "repeated")}


def test_filters_become_domain_values() -> None:
    query = MultiDict({"kind": "null", "since": "1767323045678", "until": "2026-01-02T04:04:05+01:00", "limit": "3"})
    wanted = checked_query(query, ObservationsQuery).to_domain()
    assert wanted.kind == "null"
    assert wanted.since == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    assert wanted.until == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (wanted.limit, wanted.project_id, wanted.after) == (3, None, None)


@pytest.mark.parametrize("instant", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_an_instant_outside_of_the_calendar_is_refused(instant: str) -> None:
    with pytest.raises(InvalidInput):
        checked({"query": "x", "since": instant}, SearchBody).to_domain()


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_flags_are_read(text: str, meant: bool) -> None:
    assert checked_query(MultiDict({"wait": text}), IngestQuery).wait is meant


@pytest.mark.parametrize("text", ["", "yes", "2", "null"])
def test_a_flag_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        checked_query(MultiDict({"wait": text}), IngestQuery)


def test_text_that_cannot_be_stored_is_mended_in_parameters() -> None:
    assert checked_query(MultiDict({"project": "a\x00b\ud800"}), ContextQuery).project == "a\ufffdb\ufffd"


def test_a_cursor_is_read_back_exactly() -> None:
    at, row_id = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), UUID(int=77)
    assert read_cursor("jobs", write_cursor("jobs", at, row_id)) == (at, row_id)


@pytest.mark.parametrize("cursor", ["x", "é", "AAAA", "_" * 32, "A" * 33, "=" * 8, "\ud800", "A" * 200])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_cursor("jobs", cursor)
    assert issues_of(refused.value) == {("$.cursor", "invalid_cursor")}


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidInput):
        read_cursor("jobs", write_cursor("observations", datetime(2026, 1, 2, tzinfo=UTC), UUID(int=77)))


def test_the_issues_of_a_huge_body_are_bounded() -> None:
    with pytest.raises(InvalidInput) as refused:
        checked([{} for _ in range(500)], Batch)
    assert len(refused.value.issues) == 100


@pytest.mark.parametrize("items", [0, 501, 50_000])
def test_the_length_of_a_batch_is_said_before_its_items_are_read(items: int) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked([{}] * items, Batch)
    assert issues_of(refused.value) == {("$", "invalid_length")}
    assert str(items) in str(refused.value)
