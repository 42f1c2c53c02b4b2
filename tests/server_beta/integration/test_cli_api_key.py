"""`api-key` works on the store that the server reads, whether the server runs or not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from server_beta.domain.principals import CLIENT_SCOPES, MEANINGS, Scope
from server_beta.domain.tenancy import LOCAL_TEAM_NAME
from server_beta.engines.running import running_dsn
from server_beta.services.operator import Operator
from server_beta.storage.database import Database
from server_beta.storage.migrate import migrate, migrations
from tests.support.counting import count, run_sql
from tests.support.embedded_postgres import postmaster_pid
from tests.support.processes import clean_environment, processes_of, watched_data_dir
from tests.support.server import Answer, Server, command, running_server
from tests.support.tenants import make_tenant
from tests.support.waiting import eventually_sync

_URL = "CLAUDE_MEM_SERVER_DATABASE_URL"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with watched_data_dir() as folder, running_server(folder) as running:
        yield running


def _json(data_dir: Path, *arguments: str, **settings: str) -> Any:
    done = command(data_dir, "api-key", *arguments, "--json", **settings)
    assert (done.returncode, done.stderr) == (0, ""), done
    return json.loads(done.stdout)


def _ask(server: Server, key: str, path: str = "/v1/projects") -> Answer:
    return server.ask("GET", path, Authorization=f"Bearer {key}")


def test_a_key_of_a_running_server_works_at_once(server: Server) -> None:
    made = _json(server.data_dir, "create", "--name", "ci")
    assert (made["name"], made["createdBy"], made["projectId"]) == ("ci", "system:cli", None)
    assert set(made["scopes"]) == set(map(str, CLIENT_SCOPES))
    assert _ask(server, made["key"]).status == 200
    listed = _json(server.data_dir, "list")["keys"]
    assert {key["name"] for key in listed} >= {"ci", "local"}
    assert not any("key" in key for key in listed)


def test_the_words_and_the_options_of_the_typescript_server_are_understood(server: Server) -> None:
    made = _json(server.data_dir, "create", "--name", "x", "--scope", "memories:read,keys:write", "--scope", "*")
    assert set(made["scopes"]) == set(map(str, Scope))


def test_a_revoked_key_is_refused_by_the_server_within_a_second(server: Server) -> None:
    made = _json(server.data_dir, "create", "--name", "short-lived")
    assert _ask(server, made["key"]).status == 200
    for _ in range(2):
        assert _json(server.data_dir, "revoke", made["id"])["status"] == "revoked"
    eventually_sync(lambda: _ask(server, made["key"]).status == 403, within=1)
    refused = command(server.data_dir, "api-key", "rotate", made["id"])
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "This key is revoked; make a new one.\n"


def test_rotation_hands_over_within_the_grace(server: Server) -> None:
    made = _json(server.data_dir, "create", "--name", "ci", "--scopes", "observations:read", "--expires-in", "1h")
    new = _json(server.data_dir, "rotate", made["id"], "--grace", "60")
    assert (new["scopes"], new["expiresAtEpoch"]) == (["observations:read"], made["expiresAtEpoch"])
    assert [_ask(server, one["key"]).status for one in (made, new)] == [200, 200]
    newest = _json(server.data_dir, "rotate", new["id"], "--grace", "0")
    assert _ask(server, newest["key"]).status == 200
    eventually_sync(lambda: _ask(server, new["key"]).status == 403, within=1)


def test_rotating_the_local_key_keeps_hooks_and_commands_working(server: Server) -> None:
    before = server.key
    (local,) = [key for key in _json(server.data_dir, "list")["keys"] if key["name"] == "local"]
    rotated = _json(server.data_dir, "rotate", local["id"])
    assert server.key == rotated["key"] != before
    assert command(server.data_dir, "search", "--project", "*", "anything").returncode == 0


def test_doctor_says_that_the_key_of_hooks_and_commands_is_refused(data_dir: Path) -> None:
    def finding(**settings: str) -> tuple[int, list[str]]:
        done = command(data_dir, "doctor", **settings)
        return done.returncode, [line for line in done.stdout.splitlines() if " key: " in line]

    assert finding() == (0, [])
    with running_server(data_dir):
        key_file = data_dir / ".server-beta.key"
        assert finding() == (0, [f"ok    key: server-beta accepts the one in {key_file}"])
        (local,) = _json(data_dir, "list")["keys"]
        _json(data_dir, "revoke", local["id"])
        refused = f"fail  key: server-beta does not accept the key in {key_file}, or not for reading. Run: restart"
        eventually_sync(lambda: finding() == (1, [refused]))
        code, (line,) = finding(CLAUDE_MEM_SERVER_API_KEY="not-one")
        assert (code, line.endswith("in CLAUDE_MEM_SERVER_API_KEY, or not for reading.")) == (1, True)
        command(data_dir, "restart")
        assert finding()[0] == 0


def test_people_see_the_key_on_standard_output_alone(server: Server) -> None:
    done = command(server.data_dir, "api-key", "create", "--name", "for people")
    key = done.stdout.splitlines()[-1]
    assert _ask(server, key).status == 200
    assert done.stderr == ""
    assert all(key.encode() not in path.read_bytes() for path in server.data_dir.glob("logs/*"))


def test_a_key_s_name_does_nothing_to_the_terminal(server: Server) -> None:
    name = "\x1b[2Jghost\r\nsecond line"
    made = server.ask("POST", "/v1/keys", {"name": name, "scopes": ["jobs:read"]}).body
    listed = command(server.data_dir, "api-key", "list").stdout
    revoked = command(server.data_dir, "api-key", "revoke", made["id"]).stdout
    assert "ghost second line: jobs:read" in listed
    assert revoked == f"The key ghost second line ({made['id']}) is revoked.\n"
    assert "\x1b" not in listed


def test_a_team_of_its_own_is_apart(server: Server) -> None:
    made = _json(server.data_dir, "create", "--name", "theirs", "--new-team", "Others", "--scopes", "admin")
    told = _ask(server, made["key"], "/v1/connect").body
    assert told["team"] == {"id": made["teamId"], "name": "Others"}
    more = _json(server.data_dir, "create", "--name", "more", "--team", made["teamId"])
    names = [key["name"] for key in _json(server.data_dir, "list", "--team", made["teamId"])["keys"]]
    assert names == ["more", "theirs"]
    assert {key["id"] for key in _json(server.data_dir, "list")["keys"]} > {made["id"], more["id"]}
    actions = [entry["action"] for entry in _ask(server, made["key"], "/v1/audit").body["entries"]]
    assert sorted(actions) == ["api_key.created", "api_key.created", "team.created"]


def test_a_team_s_name_is_given_once_and_names_it(server: Server) -> None:
    made = _json(server.data_dir, "create", "--name", "first", "--new-team", "ours")
    again = command(server.data_dir, "api-key", "create", "--name", "x", "--new-team", "ours")
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"The team {made['teamId']} has that name already; give its id or name with --team.\n"
    assert _json(server.data_dir, "create", "--name", "second", "--team", "ours")["teamId"] == made["teamId"]
    listed = _json(server.data_dir, "list", "--team", "ours")["keys"]
    assert [(key["name"], key["teamName"]) for key in listed] == [("second", "ours"), ("first", "ours")]
    assert command(server.data_dir, "api-key", "list").stdout.count(f"(team ours, {made['teamId']})") == 2


async def test_a_name_that_several_teams_have_names_none(data_dir: Path, database: str, store: Database) -> None:
    teams = sorted(["00000000-0000-7000-8000-00000000000a", "00000000-0000-7000-8000-00000000000b"])
    await run_sql(store, "INSERT INTO teams (id, name) SELECT unnest($1::uuid[]), 'twins' RETURNING id", teams)
    done = command(data_dir, "api-key", "list", "--team", "twins", **{_URL: database})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Several teams have that name; name one by its id: {', '.join(teams)}.\n"


async def test_of_those_who_make_the_same_team_at_once_one_does(store: Database) -> None:
    made = await asyncio.gather(*(Operator(store).found_team("ours") for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in made) == ["Conflict", "Conflict", "Conflict", "Team"]
    assert await count(store, "teams", "name = 'ours'") == 1


async def test_the_name_of_the_local_team_is_taken_before_it_is_there(data_dir: Path, empty_database: str) -> None:
    done = command(
        data_dir, "api-key", "create", "--name", "x", "--new-team", LOCAL_TEAM_NAME, **{_URL: empty_database}
    )
    assert (done.returncode, "has that name already" in done.stderr) == (1, True)


@pytest.mark.parametrize("verb", [(), ("create",), ("list",), ("revoke",), ("rotate",)])
def test_the_help_tells_the_scopes(data_dir: Path, verb: tuple[str, ...]) -> None:
    told = command(data_dir, "api-key", *verb, "--help").stdout
    assert all(f"\n  {scope} " in told for scope in MEANINGS)


def test_a_key_for_one_project_is_named_by_the_project_s_id_or_key(server: Server) -> None:
    project = server.ask("POST", "/v1/projects", {"key": "git:example.org/one", "name": "one"}).body["project"]
    for word in (project["id"], project["key"]):
        made = _json(server.data_dir, "create", "--name", "one", "--project", word)
        assert made["projectId"] == project["id"]


_NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("revoke", _NOBODY), f"There is no API key {_NOBODY} in this store."),
        (("rotate", _NOBODY), f"There is no API key {_NOBODY} in this store."),
        (
            ("create", "--name", "x", "--team", _NOBODY),
            f"There is no team {_NOBODY} in this store; --new-team NAME makes one.",
        ),
        (("list", "--team", _NOBODY), f"There is no team {_NOBODY} in this store; --new-team NAME makes one."),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(server: Server, arguments: tuple[str, ...], sentence: str) -> None:
    done = command(server.data_dir, "api-key", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{sentence}\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "VERB"),
        (("create",), "--name"),
        (("create", "--name", "x", "--scopes", "all"), "events:write"),
        (("create", "--name", "x", "--expires-in", "0d"), "a number and s, m, h or d"),
        (("create", "--name", "x", "--expires-in", "soon"), "a number and s, m, h or d"),
        (("create", "--name", " "), "1 to 256 characters"),
        (("create", "--name", "x", "--team", _NOBODY, "--new-team", "y"), "not allowed with"),
        (("revoke", "local"), "is no id"),
        (("rotate", _NOBODY, "--grace", "-1"), "--grace"),
        (("rotate", _NOBODY, "--grace", "99999999"), "2592000"),
    ],
)
def test_a_wrong_command_line_is_answered_with_what_is_wanted(
    data_dir: Path, arguments: tuple[str, ...], word: str
) -> None:
    done = command(data_dir, "api-key", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr
    assert not list(data_dir.iterdir())


def test_on_a_fresh_machine_the_first_key_is_there_when_the_server_starts(data_dir: Path) -> None:
    made = _json(data_dir, "create", "--name", "first")
    assert not processes_of(data_dir)
    with running_server(data_dir) as server:
        assert _ask(server, made["key"]).status == 200
        assert postmaster_pid(data_dir)
    assert {key["name"] for key in _json(data_dir, "list")["keys"]} == {"first", "local"}


async def test_on_an_external_database_no_server_is_needed(data_dir: Path, empty_database: str) -> None:
    made = _json(data_dir, "create", "--name", "first", **{_URL: empty_database})
    store = await Database.open(empty_database)
    try:
        (row,) = await run_sql(store, "SELECT id, created_by FROM api_keys")
        assert (str(row["id"]), row["created_by"]) == (made["id"], "system:cli")
        assert await count(store, "audit_log", "actor = 'system:cli' AND action = 'api_key.created'") == 1
    finally:
        await store.close(5)
    assert not (data_dir / "postgres").exists()


async def test_a_database_that_an_older_server_may_be_using_is_not_upgraded(
    data_dir: Path, empty_database: str
) -> None:
    older = migrations()[:-1]
    await migrate(empty_database, older)
    done = command(data_dir, "api-key", "list", **{_URL: empty_database})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"The database has schema version {older[-1].version}, ")
    assert "start or restart the server with this program first" in done.stderr
    assert await migrate(empty_database, older) == older[-1].version


async def test_the_store_of_a_running_older_server_is_not_upgraded(data_dir: Path) -> None:
    older, dsn = migrations()[:-1], ""
    with running_server(data_dir):
        dsn = running_dsn(data_dir) or ""
        # To the command, a server that has not applied the newest migration is one of the version before it.
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("DELETE FROM schema_migrations WHERE version = $1", migrations()[-1].version)
            done = command(data_dir, "api-key", "list")
            applied = await connection.fetchval("SELECT max(version) FROM schema_migrations")
        finally:
            await connection.close()
    assert (done.returncode, applied) == (1, older[-1].version)
    assert "start or restart the server" in done.stderr


async def test_another_team_s_project_is_not_there(data_dir: Path, database: str, store: Database) -> None:
    tenant = await make_tenant(store)
    done = command(
        data_dir, "api-key", "create", "--name", "x", "--project", str(tenant.project.id), **{_URL: database}
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "has no project with the id or key" in done.stderr
    made = _json(
        data_dir,
        *("create", "--name", "x", "--team", str(tenant.project.team_id), "--project", str(tenant.project.id)),
        **{_URL: database},
    )
    assert made["projectId"] == str(tenant.project.id)


def test_a_database_that_does_not_answer_is_named_without_its_password(data_dir: Path) -> None:
    done = command(data_dir, "api-key", "list", "--json", **{_URL: "postgresql://nobody:s3cret@127.0.0.1:1/none"})
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "failed"
    assert _URL in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


async def test_a_shell_that_does_not_know_the_server_s_database_is_told_so(data_dir: Path, empty_database: str) -> None:
    with running_server(data_dir, **{_URL: empty_database}):
        done = command(data_dir, "api-key", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"The running server-beta uses another database than these settings name; set {_URL} as it has it, best in "
        f"{data_dir / 'settings.json'}, where every shell finds it.\n"
    )


def test_a_client_of_a_server_elsewhere_makes_no_store_of_its_own(data_dir: Path) -> None:
    done = command(data_dir, "api-key", "create", "--name", "x", CLAUDE_MEM_SERVER_URL="https://memory.example.org")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CLAUDE_MEM_SERVER_URL names a server elsewhere" in done.stderr
    assert not list(data_dir.iterdir())


def test_commands_and_a_start_that_race_on_a_fresh_machine_all_do_their_work(data_dir: Path) -> None:
    with ThreadPoolExecutor(5) as pool:
        making = [pool.submit(_json, data_dir, "create", "--name", f"key {number}") for number in range(4)]
        with running_server(data_dir) as server:
            assert [_ask(server, made.result()["key"]).status for made in making] == [200] * 4


def test_the_worker_hands_the_command_on(data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker", "server-api-key", "create", "--name", "x", "--json"],
        env=clean_environment(data_dir),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(done.stdout)["name"] == "x"
