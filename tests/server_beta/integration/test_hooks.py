"""Hooks on a real store: turns without a name, private turns, clocks that are wrong, and what was deleted meanwhile."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from server_beta.domain.records import HookAnswer
from server_beta.services.context import Context
from server_beta.services.group_commit import GroupCommit
from server_beta.services.hooks import Hooks
from server_beta.services.ingest import Ingest
from server_beta.services.ownership import Ownership
from server_beta.services.projects import Projects
from server_beta.services.relay import Relay
from server_beta.settings import Settings
from server_beta.storage.database import Database
from tests.support.clock import FrozenClock
from tests.support.counting import count, run_sql
from tests.support.tenants import Tenant
from tests.support.transports import HeldTransport

NewHooks = Callable[[], Hooks]


@pytest.fixture
def new_hooks(store: Database, clock: FrozenClock, tmp_path: Path) -> NewHooks:
    """Make what one server has; a second one shares the store only."""

    def make() -> Hooks:
        ingest = Ingest(store, Ownership(store), GroupCommit(store), Relay(store, HeldTransport()), clock)
        return Hooks(store, ingest, Projects(store), Context(store, clock, 2000), clock, Settings(tmp_path))

    return make


async def _tell(
    hooks: Hooks, tenant: Tenant, event: str, headers: Mapping[str, str] | None = None, **body: object
) -> HookAnswer:
    told = {"session_id": "s-1", "prompt_id": "p-1", "cwd": "/home/dev/shop", **body}
    identity = {"x-claude-mem-event-id": str(uuid.uuid4()), **(headers or {})}
    wanted = {name: value for name, value in told.items() if value is not None}
    return await hooks.receive(tenant.principal, event, wanted, identity, None)


async def test_events_without_a_prompt_id_are_one_turn_of_their_session(
    new_hooks: NewHooks, tenant: Tenant, store: Database
) -> None:
    hooks = new_hooks()
    await _tell(hooks, tenant, "SessionStart", prompt_id=None, source="startup")
    await _tell(hooks, tenant, "UserPromptSubmit", prompt_id=None, prompt="Fix it")
    await _tell(hooks, tenant, "Stop", prompt_id=None, last_assistant_message="Fixed.")
    assert await count(store, "observation_generation_jobs", "source_type = 'event_batch' AND turn_key = ''") == 1
    assert await count(store, "agent_events", "turn_key = ''") == 2


async def test_the_end_of_a_session_closes_its_turn_without_a_name(
    new_hooks: NewHooks, tenant: Tenant, store: Database
) -> None:
    hooks = new_hooks()
    await _tell(hooks, tenant, "UserPromptSubmit", prompt_id=None, prompt="Fix it")
    await _tell(hooks, tenant, "SessionEnd", prompt_id=None, reason="other")
    assert await count(store, "observation_generation_jobs", "turn_key = ''") == 1


async def test_a_turn_that_another_server_knows_to_be_private_is_private_here(
    new_hooks: NewHooks, tenant: Tenant, store: Database
) -> None:
    here, there = new_hooks(), new_hooks()
    await _tell(here, tenant, "PostToolUse", tool_name="Bash", tool_response={"stdout": "canary"})
    await _tell(there, tenant, "UserPromptSubmit", prompt="<private>canary</private>")
    await _tell(here, tenant, "PostToolUse", tool_name="Bash", tool_response={"stdout": "canary again"})
    assert await count(store, "agent_events") == 3
    assert await count(store, "agent_events", "payload::text LIKE '%canary%'") == 0


async def test_a_private_prompt_is_not_forgotten_over_events_that_asked_before_it_came(
    new_hooks: NewHooks, tenant: Tenant, store: Database
) -> None:
    hooks = new_hooks()
    await asyncio.gather(
        *(_tell(hooks, tenant, "PreCompact", trigger=str(number)) for number in range(8)),
        _tell(hooks, tenant, "UserPromptSubmit", prompt="<private>canary</private>"),
        *(_tell(hooks, tenant, "PreCompact", trigger=str(number)) for number in range(8)),
    )
    await _tell(hooks, tenant, "PostToolUse", tool_name="Bash", tool_response={"stdout": "canary"})
    assert await count(store, "agent_events", "payload::text LIKE '%canary%'") == 0


@pytest.mark.parametrize("deleted", ["server_sessions WHERE external_session_id = 's-1'", "projects"])
async def test_what_was_deleted_while_it_was_remembered_is_made_again(
    new_hooks: NewHooks, tenant: Tenant, store: Database, deleted: str
) -> None:
    hooks = new_hooks()
    await _tell(hooks, tenant, "UserPromptSubmit", prompt="one")
    await run_sql(store, f"DELETE FROM {deleted}")
    assert (await _tell(hooks, tenant, "UserPromptSubmit", prompt="two")).created
    assert await count(store, "agent_events") == 1


async def test_a_session_that_is_new_in_a_project_that_was_deleted_gets_the_project_made_again(
    new_hooks: NewHooks, tenant: Tenant, store: Database
) -> None:
    hooks = new_hooks()
    await _tell(hooks, tenant, "UserPromptSubmit", prompt="one")
    await run_sql(store, "DELETE FROM projects")
    assert (await _tell(hooks, tenant, "UserPromptSubmit", session_id="s-2", prompt="two")).created


async def test_a_clock_that_is_ahead_does_not_date_events_into_the_future(
    new_hooks: NewHooks, tenant: Tenant, store: Database, clock: FrozenClock
) -> None:
    ahead = int((clock.now() + timedelta(days=900)).timestamp() * 1000)
    await _tell(new_hooks(), tenant, "UserPromptSubmit", {"x-claude-mem-occurred-at": str(ahead)}, prompt="one")
    (row,) = await run_sql(store, "SELECT occurred_at FROM agent_events")
    assert row["occurred_at"] == clock.now()


async def test_a_clock_that_stands_still_does_not_keep_a_session_from_starting(
    new_hooks: NewHooks, tenant: Tenant, store: Database
) -> None:
    hooks = new_hooks()
    await _tell(hooks, tenant, "Stop", last_assistant_message="Fixed.")
    assert await count(store, "observation_generation_jobs", "status = 'queued'") == 1
    async with asyncio.timeout(5):
        assert (await _tell(hooks, tenant, "SessionStart", session_id="s-2", source="startup")).created


async def test_a_project_key_that_no_index_holds_is_shortened_and_stays_its_own(
    new_hooks: NewHooks, tenant: Tenant, store: Database
) -> None:
    hooks = new_hooks()
    beginning = secrets.token_hex(1900)
    for end in ("a", "b", "a"):
        await _tell(hooks, tenant, "Stop", {"x-claude-mem-project": f"git:{beginning}{end}"})
    assert await count(store, "projects", "key LIKE 'git:%~%'") == 2
