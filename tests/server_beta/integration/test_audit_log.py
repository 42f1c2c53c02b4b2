"""The audit log is read by administrators, each of their own team or project, by filters and pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from server_beta.domain.audit import AuditEntry, AuditFilter
from server_beta.domain.errors import Forbidden, NotFound
from server_beta.domain.ids import ApiKeyId, ProjectId, new_id
from server_beta.domain.principals import Principal, Scope
from server_beta.services.audit import Audit
from server_beta.storage import audit, tenants
from server_beta.storage.database import Database
from tests.support.counting import run_sql
from tests.support.tenants import Tenant, make_tenant


@pytest.fixture
def admin(tenant: Tenant) -> Principal:
    return Principal(tenant.principal.team_id, None, ApiKeyId(new_id()), frozenset({Scope.ADMIN}))


async def _write(store: Database, principal: Principal, project_id: ProjectId | None, action: str) -> None:
    async with store.transaction() as connection:
        await audit.record(
            *(connection, principal, project_id),
            action=action,
            resource_type=action.partition(".")[0],
            resource_id=f"{action}-id",
            request_id="request-1",
            details={"why": action},
        )


async def _all(store: Database, principal: Principal, wanted: AuditFilter | None = None) -> list[AuditEntry]:
    found, has_more = await Audit(store).list(principal, wanted or AuditFilter())
    assert not has_more
    return list(found)


async def test_a_row_tells_all_that_was_recorded(store: Database, tenant: Tenant, admin: Principal) -> None:
    await _write(store, admin, tenant.project.id, "thing.changed")
    (entry,) = await _all(store, admin)
    assert replace(entry, id=tenant.project.id, created_at=tenant.project.created_at) == AuditEntry(
        id=tenant.project.id,
        team_id=admin.team_id,
        project_id=tenant.project.id,
        actor=f"api_key:{admin.key_id}",
        api_key_id=admin.key_id,
        action="thing.changed",
        resource_type="thing",
        resource_id="thing.changed-id",
        request_id="request-1",
        details={"why": "thing.changed"},
        created_at=tenant.project.created_at,
    )


async def test_only_administrators_read_it(store: Database, tenant: Tenant) -> None:
    with pytest.raises(Forbidden):
        await Audit(store).list(tenant.principal, AuditFilter())


async def test_a_team_sees_its_own_rows_and_a_project_s_administrator_its_project_s(
    store: Database, tenant: Tenant, admin: Principal
) -> None:
    foreign = await make_tenant(store, "elsewhere")
    async with store.connection() as connection:
        sibling, _ = await tenants.find_or_create_project(connection, admin.team_id, "git:b/c", "sibling")
    await _write(store, foreign.principal, foreign.project.id, "foreign.done")
    await _write(store, admin, None, "team.done")
    await _write(store, admin, sibling.id, "sibling.done")
    await _write(store, admin, tenant.project.id, "project.done")
    bound = replace(admin, project_id=tenant.project.id)
    assert [entry.action for entry in await _all(store, admin)] == ["project.done", "sibling.done", "team.done"]
    assert [entry.action for entry in await _all(store, bound)] == ["project.done"]
    assert not await _all(store, bound, AuditFilter(action="team.done"))
    for caller, unseen in ((bound, sibling.id), (admin, foreign.project.id), (admin, ProjectId(new_id()))):
        with pytest.raises(NotFound):
            await Audit(store).list(caller, AuditFilter(project_id=unseen))


@pytest.mark.parametrize(
    "wanted",
    [
        AuditFilter(action="b.done"),
        AuditFilter(resource_type="b"),
        AuditFilter(resource_id="b.done-id"),
        AuditFilter(actor="local"),
    ],
)
async def test_each_filter_narrows(store: Database, tenant: Tenant, admin: Principal, wanted: AuditFilter) -> None:
    await _write(store, admin, None, "a.done")
    await _write(store, replace(admin, key_id=None), tenant.project.id, "b.done")
    assert [entry.action for entry in await _all(store, admin, wanted)] == ["b.done"]
    assert [entry.action for entry in await _all(store, admin, AuditFilter(project_id=tenant.project.id))] == ["b.done"]


async def test_since_and_until_include_their_own_instant(store: Database, admin: Principal) -> None:
    for name in ("a.done", "b.done", "c.done"):
        await _write(store, admin, None, name)
    rows = await run_sql(store, "SELECT created_at FROM audit_log ORDER BY created_at")
    middle = rows[1]["created_at"]
    assert isinstance(middle, datetime)
    tick = timedelta(microseconds=1)

    async def actions(wanted: AuditFilter) -> list[str]:
        return [entry.action for entry in await _all(store, admin, wanted)]

    assert await actions(AuditFilter(since=middle)) == ["c.done", "b.done"]
    assert await actions(AuditFilter(since=middle + tick)) == ["c.done"]
    assert await actions(AuditFilter(until=middle)) == ["b.done", "a.done"]
    assert await actions(AuditFilter(until=middle - tick)) == ["a.done"]


async def test_pages_show_every_row_once_even_those_of_one_transaction(store: Database, admin: Principal) -> None:
    async with store.transaction() as connection:
        for number in range(7):
            await audit.record(
                *(connection, admin, None),
                action="thing.done",
                resource_type="thing",
                resource_id=number,
                request_id=None,
            )
    found: list[AuditEntry] = []
    wanted, has_more = AuditFilter(limit=3), True
    while has_more:
        page, has_more = await Audit(store).list(admin, wanted)
        found += page
        wanted = replace(wanted, after=(page[-1].created_at, page[-1].id))
    assert len(found) == len({entry.id for entry in found}) == 7
    assert len({entry.created_at for entry in found}) == 1
