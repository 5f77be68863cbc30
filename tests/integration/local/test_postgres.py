"""The private PostgreSQL server: made, started, killed, found again, stopped."""

from __future__ import annotations

import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deploy.local import postgres_software
from deploy.local.command import call, run_as, running
from deploy.local.errors import LocalError, NotReady, WrongPassword
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import Postgres, prepare, serving, temporary, temporary_home
from deploy.local.processes import listening_addresses
from deploy.local.state import CHECKOUT, Home, reachable_home, remove_home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a server as somebody else")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with temporary_home(tmp_path / "server") as home:
        yield home


@pytest.fixture
def server(home: Home) -> Postgres:
    return prepare(home, port=free_port(), password=secrets.token_hex(8))


def test_answers_with_the_settings_that_protect_data(server: Postgres, tmp_path: Path) -> None:
    with serving(server, tmp_path / "log"), psycopg.connect(server.url) as connection:
        chosen = connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)",
            [["fsync", "full_page_writes", "synchronous_commit", "TimeZone", "server_encoding"]],
        ).fetchall()
        assert dict(chosen) == {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "TimeZone": "UTC",
            "server_encoding": "UTF8",
        }


def test_listens_on_loopback_only_and_wants_the_password(server: Postgres, tmp_path: Path) -> None:
    with serving(server, tmp_path / "log"):
        assert listening_addresses([server.port]) == {LOOPBACK}
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.url.replace(server.password, "wrong"))


def test_recovers_what_was_committed_after_the_server_was_killed(server: Postgres, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(server.command, log) as child:
        server.wait_ready(log)
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS value")
        # The postmaster alone: its children are orphans, as after the kernel's out-of-memory killer.
        os.kill(child.pid, signal.SIGKILL)
        child.process.wait()
    with serving(server, log), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT value FROM kept").fetchone() == (1,)


def test_stops_a_server_that_an_earlier_run_left_alive(server: Postgres, tmp_path: Path) -> None:
    with running(server.command, tmp_path / "first") as orphan:
        server.wait_ready(tmp_path / "first")
        with serving(server, tmp_path / "second"):
            assert not orphan.is_alive()


def test_a_stale_lock_file_naming_another_living_process_does_not_block(server: Postgres, tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, **run_as(server.user)) as stranger:
        (server.data / "postmaster.pid").write_text(f"{stranger.pid}\n{server.data}\n0\n{server.port}\n\n\n\n")
        with serving(server, tmp_path / "log"):
            assert stranger.poll() is None
        stranger.communicate()


def test_says_why_it_did_not_start(server: Postgres, tmp_path: Path) -> None:
    with (
        socket.create_server((LOOPBACK, server.port)),
        pytest.raises(NotReady, match="Address already in use"),
        serving(server, tmp_path / "log"),
    ):
        pass


def test_refuses_data_of_a_version_that_is_not_here(server: Postgres, home: Home) -> None:
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(LocalError, match="made by PostgreSQL 9"):
        prepare(home, port=server.port, password=server.password)


@as_root
def test_root_runs_a_copy_where_the_account_cannot_reach_the_programs(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = next(iter(postgres_software._installations())).bin.parents[1]
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for folder in (original, original.with_name(f"{original.name}.libs")):
        subprocess.run(["cp", "-r", folder, hidden], check=True)
    programs = [hidden / original.name / "pginstall18" / "bin"]
    monkeypatch.setattr(postgres_software, "_program_folders", lambda: iter(programs))
    server = prepare(home, port=free_port(), password="secret")
    assert server.bin.is_relative_to(home.path)
    with serving(server, tmp_path / "log"), psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@as_root
def test_an_ordinary_user_keeps_the_data_in_the_folder_itself(tmp_path: Path) -> None:
    account = pwd.getpwnam("nobody")
    # It drops its rights after the imports: the interpreter itself may be closed to other accounts.
    script = (
        "import os, pathlib, psycopg, sys\n"
        "from deploy.local.postgres import temporary\n"
        "os.setgroups([]); os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[2]))\n"
        "with temporary(pathlib.Path(sys.argv[1])) as server, psycopg.connect(server.url) as connection:\n"
        "    print(server.data, server.user, connection.execute('SELECT 1').fetchone())"
    )
    folder = reachable_home(tmp_path / "nobody").path  # root's own folders are closed to others
    os.chown(folder, account.pw_uid, account.pw_gid)
    try:
        answer = call(
            [sys.executable, "-c", script, str(folder), str(account.pw_uid), str(account.pw_gid)],
            seconds=60,
            cwd=folder,
            env={"PYTHONPATH": str(CHECKOUT)},
        )
        assert answer.stdout.strip() == f"{folder}/postgres/data None (1,)", answer.stderr
    finally:
        remove_home(Home(folder, None))


def test_a_temporary_server_leaves_nothing_but_its_log(tmp_path: Path) -> None:
    with temporary(tmp_path) as server:
        assert server.data.exists()
    assert not server.data.parent.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["postgres.log"]


def test_a_temporary_server_takes_the_place_of_one_that_a_killed_run_left(tmp_path: Path) -> None:
    home = reachable_home(tmp_path / "postgres")
    left = prepare(home, port=free_port(), password=secrets.token_hex(8), durable=False)
    with running(left.command, tmp_path / "left.log") as orphan:
        left.wait_ready(tmp_path / "left.log")
        with temporary(tmp_path) as server, psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert not orphan.is_alive()
    assert not home.path.exists()


def test_refuses_another_password_at_once_and_changes_nothing(server: Postgres, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(server, log):
        pass
    with (
        pytest.raises(WrongPassword, match=f"{server.data} was made with another password"),
        serving(replace(server, password="another"), log),
    ):
        pass
    assert 1 <= log.read_text().count("FATAL:  password authentication failed") <= 3
    with serving(server, log):
        pass


def test_a_refusal_by_another_server_at_the_port_is_none_of_ours(server: Postgres, tmp_path: Path) -> None:
    with temporary(tmp_path / "other") as other:
        ours = replace(server, port=other.port)
        with pytest.raises(NotReady, match="Address already in use"), serving(ours, tmp_path / "log"):
            pass
        assert not (server.data / "postmaster.pid").exists()
