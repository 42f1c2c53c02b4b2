"""The fakes of this layer's tests take the calls that the real services take: a fake that drifts proves nothing."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from server_beta.services.access import Access
from server_beta.services.context import Context
from server_beta.services.health import Health
from server_beta.services.hooks import Hooks
from server_beta.services.ingest import Ingest
from server_beta.services.jobs import Jobs
from server_beta.services.observations import Observations
from server_beta.services.projects import Projects
from server_beta.services.sessions import Sessions
from tests.server_beta.unit.http_fakes import FakeServices

CALLS: dict[type[Any], tuple[str, ...]] = {
    Access: ("authenticate",),
    Hooks: ("receive",),
    Ingest: ("record",),
    Sessions: ("start", "get", "end"),
    Context: ("recent",),
    Observations: ("get", "list", "named", "timeline", "search", "event", "of_event"),
    Jobs: ("get", "list", "wait"),
    Projects: ("list", "get", "find_or_create"),
    Health: ("info", "report", "readiness"),
}


def parameters(call: Any) -> list[tuple[str, Any, Any]]:
    return [
        (parameter.name.lstrip("_"), parameter.kind, parameter.default)
        for parameter in inspect.signature(call).parameters.values()
        if parameter.name != "self"
    ]


@pytest.mark.parametrize(("service", "name"), [(service, name) for service, names in CALLS.items() for name in names])
def test_a_fake_takes_the_same_call(service: type[Any], name: str) -> None:
    fake = getattr(FakeServices().services(), service.__name__.lower())
    assert parameters(getattr(fake, name)) == parameters(getattr(service, name))
