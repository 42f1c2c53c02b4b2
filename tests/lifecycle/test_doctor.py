"""What doctor says where the server is elsewhere, or has lost its database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.program import Program
from tests.support.postgres import PostgresServer
from tests.support.processes import watched_data_dir
from tests.support.server import command, running_server
from tests.support.waiting import eventually_sync

_URL = "CLAUDE_MEM_SERVER_DATABASE_URL"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with watched_data_dir() as folder:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _findings(data_dir: Path, **settings: str) -> tuple[int, dict[str, tuple[str, str]]]:
    answer = Program("server-beta", data_dir, env=settings)("doctor", "--json")
    checks = answer.data["checks"]
    assert isinstance(checks, list)
    return answer.exit_code, {check["name"]: (check["result"], check["detail"]) for check in checks}


def test_a_lost_database_is_to_be_brought_back_and_the_server_not_restarted(
    data_dir: Path, postgres: PostgresServer
) -> None:
    database = {_URL: postgres.superuser_dsn}
    with running_server(data_dir, **database):
        postgres.stop()
        eventually_sync(lambda: command(data_dir, "status").returncode == 1)
        for settings in (database, {}):
            exit_code, found = _findings(data_dir, **settings)
            assert exit_code == 1
            assert found["key"] == ("warn", "it cannot be checked before the database is back")
            assert found["database"][0] == "fail"
            assert found["database"][1].endswith(". Bring it back; the running server needs no restart")
            assert found["queue"] == ("fail", "BullMQ runs in the same Postgres, which cannot be used now")


def test_a_client_of_a_server_elsewhere_is_told_about_that_server_alone(data_dir: Path) -> None:
    with watched_data_dir() as elsewhere, running_server(elsewhere) as server:
        settings = {"CLAUDE_MEM_SERVER_URL": f"http://127.0.0.1:{server.port}"}
        exit_code, found = _findings(data_dir, **settings, CLAUDE_MEM_SERVER_API_KEY=server.key)
        assert (exit_code, found["server"]) == (0, ("ok", f"it answers on 127.0.0.1:{server.port}"))
        assert found["key"] == ("ok", "server-beta accepts the one in CLAUDE_MEM_SERVER_API_KEY")
        assert not found.keys() & {"port", "health", "database", "queue"}
        exit_code, found = _findings(data_dir, **settings, CLAUDE_MEM_SERVER_API_KEY="not-one")
        assert (exit_code, found["key"][0]) == (1, "fail")
    exit_code, found = _findings(data_dir, **settings)
    assert (exit_code, found["server"][0]) == (1, "fail")
    assert found["server"][1].endswith("Check CLAUDE_MEM_SERVER_URL")
