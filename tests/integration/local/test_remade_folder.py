"""A state folder that is deleted and made again at the same path, or has lost its secrets, while data outlives it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from deploy.local.network import find_network
from deploy.local.ports import free_port
from deploy.local.postgres import prepare, serving
from deploy.local.state import Home, State, open_state, unprivileged_account, write_private
from deploy.local.up import clean
from tests.integration.local.conftest import PATIENCE_SECONDS, READY, Begin, Up

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's data is outside of the state folder")


@pytest.fixture(autouse=True)
def remove_asides(folder: Path) -> Iterator[None]:
    yield
    home = State(folder).home_path("postgres")
    for each in home.parent.glob(f"kodama-earlier-{home.name.removeprefix('kodama-')}-*"):
        shutil.rmtree(each)


def runs(url: str) -> int:
    """How many runs of `up` this database has seen; see up_with_standins."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
        assert row is not None
        return int(row[0])


def run_once(begin: Begin, **environ: str) -> Up:
    up = begin(**environ)
    up.wait_for(READY)
    assert up.end(signal.SIGINT) == 0
    return up


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@as_root
def test_begins_anew_and_keeps_the_data_of_the_deleted_one(begin: Begin, folder: Path, tmp_path: Path) -> None:
    first = run_once(begin)
    password = first.state.secrets().postgres
    shutil.rmtree(folder)

    second = begin()
    second.wait_for(READY)
    assert runs(second.database()) == 1
    assert second.end(signal.SIGINT) == 0
    said = second.output.read_text()
    assert f"whose state folder {folder} has been deleted" in said
    (aside,) = map(Path, re.findall(r"It is now in (\S+);", said))

    third = begin()
    third.wait_for(READY)
    assert runs(third.database()) == 2
    assert third.end(signal.SIGINT) == 0
    assert "is kept (1)" in third.output.read_text()
    assert "has been deleted" not in third.output.read_text()

    kept = prepare(Home(aside, unprivileged_account().pw_name), port=free_port(), password=password)
    with serving(kept, tmp_path / "kept.log"):
        assert runs(kept.url) == 1


def test_data_of_another_password_is_refused_without_waiting(begin: Begin) -> None:
    state = run_once(begin).state
    right = state.secrets_file.read_text()
    wrong = {**json.loads(right), "postgres": secrets.token_hex(32)}
    write_private(state.secrets_file, json.dumps(wrong))
    refused = begin()
    assert refused.process.wait(timeout=PATIENCE_SECONDS) == 1
    said = refused.output.read_text()
    assert f"The database in {state.home_path('postgres')}/data was made with another password" in said
    assert wrong["postgres"] not in said
    assert 1 <= (state.log / "postgres.log").read_text().count("FATAL:  password authentication failed") <= 3

    write_private(state.secrets_file, right)
    again = begin()
    again.wait_for(READY)
    assert runs(again.database()) == 2


def test_lost_secrets_are_not_replaced_while_there_is_data(begin: Begin) -> None:
    state = run_once(begin).state
    right = state.secrets_file.read_text()
    state.secrets_file.unlink()
    refused = begin()
    assert refused.process.wait(timeout=PATIENCE_SECONDS) == 1
    said = refused.output.read_text()
    assert f"{state.secrets_file} is missing, and the data in {state.home_path('postgres')}/data needs it" in said
    assert not state.secrets_file.exists()

    write_private(state.secrets_file, right)
    again = begin()
    again.wait_for(READY)
    assert runs(again.database()) == 2


def test_processes_that_a_deleted_network_left_are_stopped(begin: Begin, folder: Path) -> None:
    # With RabbitMQ, whose node is known by its path for an ordinary user too.
    up = begin(broker="rabbitmq")
    up.wait_for(READY)
    left = up.running()
    supervisors = [each for each in left if "supervisor.supervisord" in each.cmdline()]
    up.process.kill()
    up.process.wait()
    for each in supervisors:
        each.kill()
        each.wait(timeout=PATIENCE_SECONDS)
    left = [each for each in left if is_alive(each)]
    assert len(left) >= 5
    shutil.rmtree(folder)

    again = begin()
    again.wait_for(r"Stopping \d+ processes that an earlier run left")
    again.wait_for(READY)
    assert not [each for each in left if is_alive(each)]
    assert runs(again.database()) == 1


def test_is_refused_while_the_deleted_one_is_alive(begin: Begin, folder: Path) -> None:
    up = begin()
    address = up.wait_for(READY)[1]
    (supervisor,) = (each for each in up.running() if "supervisor.supervisord" in each.cmdline())
    left = up.running()
    up.process.kill()  # else it ends by itself once its folder is gone
    up.process.wait()
    shutil.rmtree(folder)

    second = begin()
    assert second.process.wait(timeout=PATIENCE_SECONDS) == 1
    assert f"or with 'kill {supervisor.pid}', and start again" in second.output.read_text()
    refused: list[str] = []
    assert clean(refused.append, {"KODAMA_STATE_DIR": str(folder)}) == 1
    assert "still runs" in refused[0]
    assert httpx.get(f"{address}/health").is_success

    supervisor.terminate()
    psutil.wait_procs(left, timeout=PATIENCE_SECONDS)
    third = begin()
    third.wait_for(READY)
    assert runs(third.database()) == 1


def test_a_network_whose_folder_is_deleted_ends_and_leaves_the_next_one_alone(begin: Begin, folder: Path) -> None:
    up = begin()
    up.wait_for(READY)
    left = up.running()
    shutil.rmtree(folder)
    assert up.process.wait(timeout=PATIENCE_SECONDS) == 1
    assert f"The state folder {folder} was deleted" in up.output.read_text()
    assert not [each for each in left if is_alive(each)]
    assert not folder.exists() or not State(folder).secrets_file.exists()

    again = begin()
    again.wait_for(READY)
    assert runs(again.database()) == 1
    assert find_network(open_state({"KODAMA_STATE_DIR": str(folder)})) is not None
