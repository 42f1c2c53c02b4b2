"""Under which system account the embedded Postgres runs, and what it may do there."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server_beta.domain.errors import EngineFailed
from server_beta.engines.accounts import Account, server_account
from server_beta.engines.binaries import find_binaries
from tests.support.embedded_postgres import answer_of, fetch, postmaster_pid, running_server
from tests.support.processes import UNPRIVILEGED_UID, clean_environment, running_python

_DAC_OVERRIDE, _DAC_READ_SEARCH, _SETUID, _CHOWN = 1, 2, 7, 0

# Gives up capabilities for itself and all that it executes, as a container's settings would (PR_CAPBSET_DROP is 24).
_WITHOUT = """
import ctypes, os, sys
for capability in sys.argv[1].split(","):
    assert ctypes.CDLL(None).prctl(24, int(capability), 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-m", "tests.support.embedded_postgres"])
"""


def owner(data_dir: Path) -> int:
    """Return the user of the server's process."""
    shown = subprocess.run(
        ["ps", "-o", "uid=", "-p", str(postmaster_pid(data_dir))], capture_output=True, text=True, check=True
    )
    return int(shown.stdout)


def capabilities(data_dir: Path) -> int:
    """Return the capabilities of the server's process."""
    status = Path("/proc", str(postmaster_pid(data_dir)), "status").read_text()
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))


def test_it_runs_under_an_unprivileged_account_below_a_folder_that_is_closed_to_it(used_data_dir: Path) -> None:
    assert used_data_dir.stat().st_mode & 0o777 == 0o700
    with running_server(used_data_dir):
        assert owner(used_data_dir) != 0
        assert owner(used_data_dir) == (used_data_dir / "postgres" / "cluster").stat().st_uid
    assert used_data_dir.stat().st_mode & 0o777 == 0o700
    assert used_data_dir.stat().st_uid == os.geteuid()


def test_an_account_of_our_own_needs_nothing_to_reach_anything() -> None:
    ours = Account(os.geteuid(), os.getegid())
    nowhere = Path("/nowhere")
    assert ours.reaching(nowhere, [nowhere], [nowhere]) is ours


def test_a_cluster_of_another_user_is_refused_with_that_user_named(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "cluster").mkdir()
    monkeypatch.setattr("os.geteuid", lambda: 4711)
    with pytest.raises(EngineFailed, match=f"belongs to user {os.getuid()}"):
        server_account(data_dir / "cluster")


def install_programs(folder: Path, mode: str) -> Path:
    """Copy what is used of the wheel, with the modes that an installation under some umask gives."""
    package = find_binaries().postgres.parents[2]
    unused = shutil.ignore_patterns("include", "pginstall", "*.a")
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.name, ignore=unused)
    subprocess.run(["chmod", "-R", mode, folder], check=True)
    return folder


if os.geteuid() == 0 and sys.platform == "linux":
    # What root may meet. Everybody else runs all tests of the embedded Postgres under an ordinary account anyway.

    @contextlib.contextmanager
    def running_without(data_dir: Path, *capabilities: int) -> Iterator[subprocess.Popen[str]]:
        with running_python(["-c", _WITHOUT, ",".join(map(str, capabilities))], data_dir) as program:
            yield program

    async def test_an_ordinary_user_runs_it_as_itself(data_dir: Path) -> None:
        os.chown(data_dir, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        with running_server(data_dir, uid=UNPRIVILEGED_UID) as (_, dsn):
            assert owner(data_dir) == UNPRIVILEGED_UID
            assert await fetch(dsn, "SELECT 1") == 1
        with running_server(data_dir, uid=UNPRIVILEGED_UID) as (_, dsn):
            assert await fetch(dsn, "SELECT 1") == 1

    async def test_root_goes_on_under_the_account_that_an_ordinary_user_began_with(data_dir: Path) -> None:
        os.chown(data_dir, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        with running_server(data_dir, uid=UNPRIVILEGED_UID):
            pass
        with running_server(data_dir) as (_, dsn):
            assert owner(data_dir) == UNPRIVILEGED_UID
            assert await fetch(dsn, "SELECT 1") == 1

    def test_an_ordinary_user_is_told_that_root_owns_the_cluster(data_dir: Path) -> None:
        with running_server(data_dir):
            pass
        data_dir.chmod(0o755)
        os.chown(data_dir, UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        with running_python(["-m", "tests.support.embedded_postgres"], data_dir, uid=UNPRIVILEGED_UID) as program:
            assert str(data_dir) in answer_of(program)["failed"]

    def test_root_keeps_one_capability_where_the_way_to_the_cluster_is_closed(used_data_dir: Path) -> None:
        # Installed under a umask of 077, the programs themselves are closed as well.
        is_closed = not find_binaries().postgres.stat().st_mode & stat.S_IXOTH
        with running_server(used_data_dir):
            assert capabilities(used_data_dir) == 1 << (_DAC_OVERRIDE if is_closed else _DAC_READ_SEARCH)
        # As the runtime of a container may have it, which gives root only some.
        with running_without(used_data_dir, _DAC_READ_SEARCH) as program:
            assert "dsn" in answer_of(program)
            assert capabilities(used_data_dir) == 1 << _DAC_OVERRIDE

    @pytest.mark.parametrize("mode", ["go=rX", "go="])
    async def test_root_runs_programs_below_a_folder_that_is_closed_to_the_account(data_dir: Path, mode: str) -> None:
        copied = install_programs(data_dir / "installed", mode)
        more = {"PYTHONPATH": f"{copied}:{clean_environment(data_dir)['PYTHONPATH']}"}
        with running_python(["-m", "tests.support.embedded_postgres"], data_dir, more) as program:
            assert await fetch(answer_of(program)["dsn"], "SELECT 1") == 1
            running = Path("/proc", str(postmaster_pid(data_dir)), "exe")
            assert running.readlink().is_relative_to(copied)

    def test_root_keeps_no_capability_where_the_way_is_open() -> None:
        here = Path("/")
        account = Account(UNPRIVILEGED_UID, UNPRIVILEGED_UID)
        assert account.reaching(here, [Path("/bin/sh")], [here]) is account

    def test_a_program_that_only_root_may_execute_takes_the_larger_capability(data_dir: Path) -> None:
        program = data_dir / "program"
        program.write_text("")
        program.chmod(0o700)
        account = Account(UNPRIVILEGED_UID, UNPRIVILEGED_UID).reaching(program, [program], [])
        assert account.capability == _DAC_OVERRIDE

    @pytest.mark.parametrize(
        ("dropped", "told"),
        [
            ((_DAC_READ_SEARCH, _DAC_OVERRIDE), "CAP_DAC_READ_SEARCH"),
            ((_SETUID,), "CAP_SETUID"),
            ((_CHOWN,), "CAP_CHOWN"),
        ],
    )
    def test_root_without_a_capability_is_told_which_one_and_what_to_do(
        data_dir: Path, dropped: tuple[int, ...], told: str
    ) -> None:
        with running_without(data_dir, *dropped) as program:
            failed = answer_of(program)["failed"]
        assert told in failed
        assert "CLAUDE_MEM_SERVER_DATABASE_URL" in failed
        assert not list((data_dir / "postgres").glob("new-*"))
