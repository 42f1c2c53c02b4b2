"""The command line around the lifecycle: help, JSON, logs, doctor, and what a wrong word gets."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from server_beta.cli import launch
from server_beta.cli.logfile import MAX_BYTES
from tests.lifecycle.program import Program, read_line
from tests.support.processes import running_python
from tests.support.waiting import eventually_sync


def _findings(program: Program, name: str) -> tuple[int, str, str]:
    answer = program("doctor", "--json")
    findings = answer.data["checks"]
    assert isinstance(findings, list)
    (found,) = (finding for finding in findings if finding["name"] == name)
    return answer.exit_code, found["result"], found["detail"]


def test_an_unknown_command_says_what_exists(program: Program) -> None:
    answer = program("frobnicate")

    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(
        f"{program.name} has no command 'frobnicate'; it has: start, stop, restart, status, run"
    )


def test_no_command_and_a_wrong_option_are_usage_errors(program: Program) -> None:
    assert program().exit_code == 2
    assert "start in the background" in program().stderr
    assert program("status", "--frobnicate").exit_code == 2
    assert program("--help").exit_code == 0


def test_the_exit_codes_of_status_are_in_its_help(program: Program) -> None:
    assert "0 ready, 1 degraded, starting or stopping, 3 down" in program("status", "--help").stdout


def test_json_is_understood_before_and_after_the_command(program: Program) -> None:
    assert program("--json", "version").data == program("version", "--json").data
    assert program("version").stdout == f"{program.name} {program('version', '--json').data['version']}\n"


@pytest.mark.parametrize("command", ["start", "restart", "run"])
def test_a_wrong_setting_is_told_in_one_sentence(program: Program, command: str) -> None:
    (setting,) = program.environment
    answer = Program(program.name, program.data_dir, env={setting: "seven"})(command)

    assert answer.exit_code == 1
    assert setting in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_logs_prints_the_end_of_the_log(program: Program) -> None:
    assert "no log yet" in program("logs").stdout
    program.files.log.parent.mkdir()
    program.files.log.write_text("one\ntwo\nthree\n")

    assert program("logs", "-n", "2").stdout == "two\nthree\n"
    assert program("logs", "--json").data == {"path": str(program.files.log), "lines": ["one", "two", "three"]}
    assert program("logs", "-n", "x").exit_code == 2


def test_logs_follows_across_a_rotation(program: Program) -> None:
    log = program.files.log
    log.parent.mkdir()
    log.write_text("one\n")
    with running_python([*program.command_line, "logs", "--follow"], program.data_dir, program.environment) as process:
        assert read_line(process) == "one\n"
        with log.open("a") as file:
            file.write("two\n")
        assert read_line(process) == "two\n"
        log.rename(log.with_name(f"{log.name}.1"))
        log.write_text("three\n")
        assert read_line(process) == "three\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
        assert process.communicate()[1] == ""


def test_a_reader_that_goes_away_gets_no_complaint(program: Program) -> None:
    program.files.log.parent.mkdir()
    program.files.log.write_text("a long line\n" * 100_000)
    arguments = [*program.command_line, "logs", "-n", "100000"]
    with running_python(arguments, program.data_dir, program.environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(10) == 1
        assert process.stderr.read() == ""


def test_a_log_that_has_grown_large_is_moved_aside_at_the_start(program: Program) -> None:
    log = program.files.log
    log.parent.mkdir()
    log.write_bytes(b"x" * MAX_BYTES + b"\n")

    program.start()

    moved = log.with_name(f"{log.name}.1")
    eventually_sync(moved.exists)
    assert moved.read_bytes().startswith(b"x" * MAX_BYTES)
    assert log.stat().st_size < MAX_BYTES
    assert log.stat().st_mode & 0o777 == 0o600


def test_doctor_finds_nothing_to_do_on_a_fresh_machine(program: Program) -> None:
    answer = program("doctor", "--json")

    assert answer.exit_code == 0, answer.stdout
    assert answer.data["status"] == "ok"
    assert _findings(program, "health")[1] == "warn"
    program.start()
    assert _findings(program, "health")[1] == "ok"
    assert _findings(program, "port")[1] == "ok"
    assert program("doctor").stdout.startswith("ok    settings: ")


def test_doctor_tells_what_others_can_read(program: Program) -> None:
    program.data_dir.chmod(0o755)
    program.files.port.write_text("1")
    program.files.port.chmod(0o644)
    try:
        assert _findings(program, "data folder")[:2] == (0, "warn")
        assert _findings(program, "private file")[:2] == (0, "warn")
    finally:
        program.data_dir.chmod(0o700)


def test_doctor_counts_the_spool(program: Program) -> None:
    spool = program.data_dir / "spool" / program.name
    spool.mkdir(parents=True)
    (spool / "000000000000001-a.http").write_bytes(b"")
    (spool / ".dropped").write_text("7")

    assert _findings(program, "spool")[1:] == (
        "warn",
        "1 events wait, 7 were dropped for lack of space, 0 were set aside as unusable",
    )


def test_doctor_fails_with_the_setting_that_is_wrong(program: Program) -> None:
    (setting,) = program.environment
    wrong = Program(program.name, program.data_dir, env={setting: "seven"})

    exit_code, result, detail = _findings(wrong, "settings")

    assert (exit_code, result) == (1, "fail")
    assert setting in detail


def test_doctor_asks_the_configured_database_and_keeps_its_password(data_dir: Path) -> None:
    url = "postgresql://someone:hunter2@127.0.0.1:1/memory"
    server = Program("server-beta", data_dir, env={"CLAUDE_MEM_SERVER_DATABASE_URL": url})

    exit_code, result, detail = _findings(server, "database")

    assert (exit_code, result) == (1, "fail")
    assert "CLAUDE_MEM_SERVER_DATABASE_URL" in detail
    assert "hunter2" not in server("doctor").stdout


def test_doctor_and_migrate_use_the_configured_database(data_dir: Path, empty_database: str) -> None:
    server = Program("server-beta", data_dir, env={"CLAUDE_MEM_SERVER_DATABASE_URL": empty_database})

    assert _findings(server, "database")[:2] == (0, "ok")
    migrated = server("migrate", "--json")
    assert migrated.exit_code == 0, migrated.stderr
    assert migrated.data["status"] == "migrated"
    assert server("migrate", "--json").data == migrated.data


def test_migrate_says_that_the_embedded_database_needs_none(data_dir: Path) -> None:
    assert Program("server-beta", data_dir)("migrate", "--json").data["status"] == "embedded"


def test_doctor_asks_the_configured_redis(data_dir: Path, redis: str) -> None:
    def queue(url: str) -> tuple[int, str, str]:
        env = {"CLAUDE_MEM_QUEUE_ENGINE": "bullmq", "CLAUDE_MEM_REDIS_URL": url}
        return _findings(Program("server-beta", data_dir, env=env), "queue")

    assert queue(redis)[:2] == (0, "ok")
    assert queue("redis://:hunter2@127.0.0.1:1/0")[:2] == (1, "fail")
    assert "hunter2" not in queue("redis://:hunter2@127.0.0.1:1/0")[2]


def test_the_started_process_gets_no_surprises_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "PATH": "/bin",
        "CLAUDE_MEM_PROVIDER": "extractive",
        "SHIV_ROOT": "/cache",
        "PYTHONSTARTUP": "x",
        "PYTHONPATH": "/elsewhere",
        "SHIV_INTERPRETER": "1",
        "SHIV_ENTRY_POINT": "other:main",
    }
    kept = {"PATH": "/bin", "CLAUDE_MEM_PROVIDER": "extractive", "SHIV_ROOT": "/cache"}

    monkeypatch.setattr("sys.argv", ["/plugin/runtime/server-beta.pyz", "start"])
    assert launch.environment(given) == kept
    assert launch.command("server_beta", ["run"])[1:] == ["/plugin/runtime/server-beta.pyz", "run"]

    monkeypatch.setattr("sys.argv", ["/source/server_beta/__main__.py", "start"])
    assert launch.environment(given) == {**kept, "PYTHONPATH": str(Path(launch.__file__).parents[2])}
    assert launch.command("server_beta", ["run"])[1:] == ["-P", "-m", "server_beta", "run"]


def test_status_shows_every_part_that_has_a_state(program: Program) -> None:
    program.start()

    shown = program("status").stdout
    health = json.loads(program("status", "--json").stdout)["health"]

    parts = [part for part, about in health.items() if isinstance(about, dict) and "status" in about]
    assert [part for part in parts if f"  {part}: {health[part]['status']}" not in shown] == []
