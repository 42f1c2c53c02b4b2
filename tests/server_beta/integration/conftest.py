"""The store that the tests of server-beta's storage and services work on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server_beta.domain.ports import SystemClock
from server_beta.services.group_commit import GroupCommit
from server_beta.services.ingest import Ingest
from server_beta.services.ownership import Ownership
from server_beta.services.relay import Relay
from server_beta.storage.database import Database
from tests.support.chain import Chain
from tests.support.tenants import Tenant, make_tenant
from tests.support.transports import HeldTransport


@pytest.fixture
async def store(database: str) -> AsyncIterator[Database]:
    """Give an open pool on this test's database."""
    opened = await Database.open(database)
    try:
        yield opened
    finally:
        await opened.close(5)


@pytest.fixture
async def tenant(store: Database) -> Tenant:
    """Give a team, a project and a session."""
    return await make_tenant(store)


@pytest.fixture
def chain(store: Database, tenant: Tenant) -> Chain:
    transport = HeldTransport()
    relay = Relay(store, transport)
    return Chain(
        store, tenant, relay, Ingest(store, Ownership(store), GroupCommit(store), relay, SystemClock()), transport
    )
