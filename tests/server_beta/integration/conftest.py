"""The store that the tests of server-beta's storage and services work on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from server_beta.storage.database import Database
from tests.support.tenants import Tenant, make_tenant


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
