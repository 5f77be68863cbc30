"""The life of `make up`, with stand-ins for the application and all else real."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import httpx
import psutil
import psycopg

from deploy.local import processes
from deploy.local.network import PORT_NAMES
from deploy.local.postgres import Postgres
from deploy.local.rabbitmq_software import RabbitMQSoftware
from deploy.local.up import clean
from tests.integration.local.conftest import PATIENCE_SECONDS, READY, Begin, assert_nothing_is_left


def test_ctrl_c_leaves_no_process_and_no_port_and_the_data_stays(
    begin: Begin, tmp_path: Path, rabbitmq_software: RabbitMQSoftware
) -> None:
    up = begin(broker="rabbitmq")
    address = up.wait_for(READY)[1]
    assert httpx.get(f"{address}/health").is_success
    assert len(processes.listening_addresses(up.state.recall("ports").values())) >= 1
    assert {each.name() for each in up.running()} >= {"beam.smp", "epmd", "postgres"}
    assert up.end(signal.SIGINT) == 0
    assert_nothing_is_left(up)
    order = re.findall(r"Stopping ([a-z, ]+?) …", up.output.read_text())
    assert order == ["gateway", "status", "rabbitmq", "epmd", "postgres"]
    assert [line.split()[:2] for line in (tmp_path / "trace").read_text().splitlines()[-2:]] == [
        ["ended", "gateway"],
        ["ended", "status"],
    ]

    again = begin()
    assert again.wait_for(READY)[1] == address  # the ports of last time
    with psycopg.connect(again.database()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (2,)
    assert "Filling" not in again.output.read_text()
    assert again.end(signal.SIGTERM) == 0
    assert_nothing_is_left(again)


def test_what_dies_is_started_again_and_a_second_network_is_refused(begin: Begin) -> None:
    up = begin()
    address = up.wait_for(READY)[1]
    (pid,) = up.pids("standin.py status")
    os.kill(pid, signal.SIGKILL)
    up.wait_for("status ended and was started again")
    assert up.pids("standin.py status") != [pid]

    second = begin()
    assert second.process.wait(timeout=PATIENCE_SECONDS) == 1
    assert f"already runs at {address} (pid {up.process.pid})" in second.output.read_text()
    assert httpx.get(f"{address}/health").is_success
    refused: list[str] = []
    assert clean(refused.append, {"KODAMA_STATE_DIR": str(up.state.root)}) == 1
    assert "already runs" in refused[0]


def test_orphans_of_a_killed_network_are_stopped_by_the_next(begin: Begin, rabbitmq_software: RabbitMQSoftware) -> None:
    up = begin(broker="rabbitmq")
    up.wait_for(READY)
    supervisors = [each for each in up.running() if "supervisor.supervisord" in each.cmdline()]
    up.process.kill()
    up.process.wait()
    for each in supervisors:
        each.kill()
        each.wait(timeout=PATIENCE_SECONDS)
    orphans = up.running()
    assert len(orphans) >= 5

    again = begin()
    again.wait_for(r"Stopping \d+ processes that an earlier run left")
    again.wait_for(READY)
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in orphans)
    with psycopg.connect(again.database()) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (2,)
    assert again.end(signal.SIGINT) == 0
    assert_nothing_is_left(again)


def test_a_process_that_cannot_start_is_named_with_its_log(begin: Begin) -> None:
    up = begin("gateway", "broken", AFTER_BREAKS="2")  # all is well but for the one that ends again and again
    assert up.process.wait(timeout=PATIENCE_SECONDS) == 1
    output = up.output.read_text()
    assert "The network did not start: broken failed." in output
    assert "it is broken on purpose" in output
    assert_nothing_is_left(up)


def test_a_second_ctrl_c_does_not_wait_for_a_stubborn_process(begin: Begin) -> None:
    up = begin("gateway", "stubborn")
    up.wait_for(READY)
    begun = time.monotonic()
    assert up.end(signal.SIGINT, signal.SIGINT) == 0
    assert time.monotonic() - begun < 10
    assert_nothing_is_left(up)


def test_ctrl_c_while_it_starts_stops_what_was_started(begin: Begin) -> None:
    up = begin()
    up.wait_for("PostgreSQL is ready")
    assert up.end(signal.SIGINT) == 0
    assert READY not in up.output.read_text()
    assert_nothing_is_left(up)


def test_uses_the_servers_of_the_user(begin: Begin, postgres: Postgres) -> None:
    up = begin(KODAMA_DATABASE_URL=postgres.url, KODAMA_BROKER_URL="amqp://guest@127.0.0.1:1/")
    up.wait_for(READY)
    assert up.database() == postgres.url
    names = {each.name() for each in up.running()}
    assert not names & {"postgres", "beam.smp", "epmd"}
    assert set(PORT_NAMES) == set(up.state.recall("ports"))
    assert up.end(signal.SIGINT) == 0
    assert_nothing_is_left(up)


def test_an_unreachable_database_of_the_user_is_a_sentence_without_the_password(begin: Begin) -> None:
    up = begin(KODAMA_DATABASE_URL="postgresql://me:hidden@127.0.0.1:1/mine")
    assert up.process.wait(timeout=PATIENCE_SECONDS) == 1
    output = up.output.read_text()
    assert "KODAMA_DATABASE_URL names cannot be used" in output
    assert "hidden" not in output
    assert_nothing_is_left(up)


def test_a_killed_supervisor_ends_the_network_in_order(begin: Begin) -> None:
    up = begin()
    up.wait_for(READY)
    (supervisord,) = up.pids("supervisor.supervisord")
    os.kill(supervisord, signal.SIGKILL)
    assert up.process.wait(timeout=PATIENCE_SECONDS) == 1
    assert "The supervisor was killed" in up.output.read_text()
    assert_nothing_is_left(up)


def test_a_network_runs_though_its_demo_could_not_be_made(begin: Begin) -> None:
    up = begin(SEEDING="fails")
    up.wait_for(READY)
    assert "The demo network is not whole: it is made to fail; kodama demo goes on with it." in up.output.read_text()
    assert httpx.get(f"{up.wait_for(READY)[1]}/health").is_success
    assert up.end(signal.SIGINT) == 0
    assert_nothing_is_left(up)

    again = begin()
    again.wait_for(READY)
    assert "Filling the network" in again.output.read_text()  # it goes on with it
    assert again.end(signal.SIGINT) == 0
    third = begin(SEEDING="fails")
    third.wait_for(READY)
    assert "Filling the network" not in third.output.read_text()
    assert third.end(signal.SIGINT) == 0


def test_ctrl_c_that_is_forgotten_while_it_seeds_stops_it_all_the_same(begin: Begin) -> None:
    up = begin(SEEDING="forgets")
    up.wait_for("forgetting")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=PATIENCE_SECONDS) == 0
    assert "Exception ignored in" in up.output.read_text()
    assert_nothing_is_left(up)
