"""Lanes, transport ids and the shape of a message on the wire."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID

import pytest

from server_beta.domain.ids import JobId, ProjectId, TeamId
from server_beta.domain.jobs import Lane, Message
from server_beta.transport.payload import dump, parse
from server_beta.transport.postgres import schema_name

MESSAGE = Message(
    job_id=JobId(UUID("01900000-0000-7000-8000-000000000001")),
    team_id=TeamId(UUID("01900000-0000-7000-8000-000000000002")),
    project_id=ProjectId(UUID("01900000-0000-7000-8000-000000000003")),
    lane=Lane.EVENT_BATCH,
    attempt=2,
    request_id="req-7",
)


def test_queue_names_and_id_prefixes_are_those_that_deployments_share() -> None:
    assert {lane: (lane.queue_name, lane.id_prefix) for lane in Lane} == {
        Lane.EVENT: ("server_beta_generate_event", "evt"),
        Lane.EVENT_BATCH: ("server_beta_generate_event_batch", "evtb"),
        Lane.SUMMARY: ("server_beta_generate_summary", "sum"),
        Lane.REINDEX: ("server_beta_reindex", "rdx"),
    }


def test_every_lane_has_a_source_type_that_leads_back_to_it() -> None:
    assert [lane.source_type.lane for lane in Lane] == list(Lane)


def test_a_transport_id_is_the_same_on_every_computation() -> None:
    assert MESSAGE.transport_id == "evtb_f5c0f0b09b6eae2c35c36bebfb095ac0e1defc46"


@pytest.mark.parametrize("lane", Lane)
def test_a_transport_id_names_its_lane_and_contains_no_colon(lane: Lane) -> None:
    transport_id = replace(MESSAGE, lane=lane).transport_id

    assert transport_id.startswith(f"{lane.id_prefix}_")
    assert ":" not in transport_id


def test_the_next_attempt_has_another_transport_id() -> None:
    assert replace(MESSAGE, attempt=3).transport_id != MESSAGE.transport_id


def test_a_transport_id_depends_on_nothing_but_lane_job_and_attempt() -> None:
    other_request = replace(MESSAGE, request_id=None, team_id=TeamId(UUID(int=9)))

    assert other_request.transport_id == MESSAGE.transport_id


def test_the_wire_shape_is_camel_case_with_a_version() -> None:
    assert dump(MESSAGE) == {
        "version": 1,
        "jobId": "01900000-0000-7000-8000-000000000001",
        "teamId": "01900000-0000-7000-8000-000000000002",
        "projectId": "01900000-0000-7000-8000-000000000003",
        "lane": "event-batch",
        "attempt": 2,
        "requestId": "req-7",
    }


@pytest.mark.parametrize("message", [MESSAGE, replace(MESSAGE, request_id=None, attempt=0)])
def test_what_was_sent_is_what_arrives(message: Message) -> None:
    assert parse(json.loads(json.dumps(dump(message))), message.lane) == message


def test_a_request_id_may_be_missing() -> None:
    payload = dump(MESSAGE)
    del payload["requestId"]

    assert parse(payload, MESSAGE.lane) == replace(MESSAGE, request_id=None)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": "1"},
        {"version": None},
        {"jobId": "not a uuid"},
        {"jobId": 7},
        {"teamId": None},
        {"projectId": ""},
        {"lane": "nothing"},
        {"attempt": -1},
        {"attempt": "2"},
        {"attempt": 1.5},
        {"attempt": True},
        {"requestId": 7},
        {"requestId": "x" * 201},
        {"surplus": 1},
    ],
)
def test_a_payload_with_one_wrong_field_is_refused(change: dict[str, object]) -> None:
    assert parse({**dump(MESSAGE), **change}, MESSAGE.lane) is None


@pytest.mark.parametrize("name", ["version", "jobId", "teamId", "projectId", "lane", "attempt"])
def test_a_payload_without_a_field_is_refused(name: str) -> None:
    payload = dump(MESSAGE)
    del payload[name]

    assert parse(payload, MESSAGE.lane) is None


@pytest.mark.parametrize("payload", [None, {}, [], "text", 7, 1.5, True])
def test_a_payload_that_is_no_message_at_all_is_refused(payload: object) -> None:
    assert parse(payload, Lane.EVENT) is None


def test_a_message_on_the_wrong_lane_is_refused() -> None:
    assert parse(dump(MESSAGE), Lane.SUMMARY) is None


def test_the_default_prefix_gives_a_readable_schema_name() -> None:
    assert schema_name("claude_mem") == "claude_mem_queue"


@pytest.mark.parametrize(
    "prefix", ["Claude_Mem", "claude-mem", "claude mem", "{claude}", "7up", "", "é" * 80, "a" * 80]
)
def test_any_prefix_gives_a_plain_schema_name(prefix: str) -> None:
    name = schema_name(prefix)

    assert name.isascii()
    assert name.isidentifier()
    assert len(name) <= 63


def test_prefixes_that_look_alike_do_not_share_a_schema() -> None:
    prefixes = ["claude_mem", "claude-mem", "Claude_Mem", "claude mem", "a" * 50, "a" * 51]

    assert len({schema_name(prefix) for prefix in prefixes}) == len(prefixes)
