"""The private RabbitMQ node: private, durable, and gone when it is stopped."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

import kombu
import psutil
import pytest

from deploy.local import processes
from deploy.local import rabbitmq_software as software_module
from deploy.local.apt import private_apt
from deploy.local.errors import MissingSoftware, WrongPassword
from deploy.local.ports import is_free
from deploy.local.processes import listening_addresses
from deploy.local.rabbitmq import USER, RabbitMQ, choose_node_ports, prepare, serving, temporary
from deploy.local.rabbitmq_software import RabbitMQSoftware, find_software

QUORUM = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 5,
    "x-dead-letter-exchange": "dead",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


def connect(url: str) -> kombu.Connection:
    connection = kombu.Connection(url, connect_timeout=5, transport_options={"confirm_publish": True})
    connection.connect()
    return connection


def beam_of(pid: int) -> psutil.Process:
    [beam] = processes.matching(lambda each: each.name() == "beam.smp", psutil.Process(pid).children(recursive=True))
    return beam


def test_keeps_a_confirmed_message_when_killed_and_leaves_nothing_behind(
    rabbitmq_software: RabbitMQSoftware, tmp_path: Path, no_leftovers: None
) -> None:
    arguments = {"password": secrets.token_hex(8), "cookie": secrets.token_hex(8), "software": rabbitmq_software}
    log = tmp_path / "log"
    node = prepare(tmp_path / "node", ports=choose_node_ports(), **arguments)  # type: ignore[arg-type]  # differ in type
    with serving(node, log) as child:
        with connect(node.url) as connection:
            channel = connection.channel()
            channel.queue_declare("work", durable=True, auto_delete=False, arguments=QUORUM)
            kombu.Producer(channel).publish("kept", routing_key="work", delivery_mode=2, timeout=10)
        with pytest.raises(connection.channel_errors, match="ACCESS_REFUSED"):
            connect(node.url.replace(f"{USER}:{node.password}@", "guest:guest@"))
        assert listening_addresses(vars(node.ports).values()) <= {"127.0.0.1", "::1"}
        # Ra notes the names of new queues within half a second; one that is killed sooner loses a new queue.
        time.sleep(1)
        beam_of(child.pid).kill()
        child.process.wait(timeout=10)

    # Other ports the second time: the data is found by the node's name.
    again = prepare(tmp_path / "node", ports=choose_node_ports(), **arguments)  # type: ignore[arg-type]  # differ in type
    with serving(again, log), connect(again.url) as connection:
        channel = connection.channel()
        message = channel.basic_get("work")
        assert message.body == "kept"
        channel.basic_ack(message.delivery_tag)
    assert all(is_free(port) for ports in (node.ports, again.ports) for port in vars(ports).values())


def test_secrets_are_in_private_files_only(rabbitmq_software: RabbitMQSoftware, tmp_path: Path) -> None:
    node = prepare(
        tmp_path / "node", ports=choose_node_ports(), password="hidden1", cookie="hidden2", software=rabbitmq_software
    )
    assert "hidden" not in f"{node!r}{node.environment}{[each.argv for each in node.commands]}"
    modes = {each.name: each.stat().st_mode & 0o777 for each in node.home.iterdir() if each.is_file()}
    assert modes == {".erlang.cookie": 0o400, "enabled_plugins": 0o600, "rabbitmq.conf": 0o600}
    assert node.home.stat().st_mode & 0o777 == 0o700


def test_is_fetched_without_touching_the_system(tmp_path: Path) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("this system has no apt")
    said: list[str] = []
    installed = Path("/var/lib/dpkg/status").read_bytes()
    try:
        software = find_software(said.append, cache=tmp_path / "cache", fetch_only=True)
    except MissingSoftware as missing:
        pytest.skip(f"no package source answers: {missing}")
    assert software.fetched
    assert len(said) >= 3
    assert Path("/var/lib/dpkg/status").read_bytes() == installed
    assert sorted(each.name for each in (tmp_path / "cache" / "rabbitmq").iterdir()) == ["lock", "tree"]
    answer = subprocess.run(
        ["erl", "-noshell", "-eval", "io:put_chars(code:root_dir()), halt()."],
        env={"PATH": software.path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout == str(tmp_path / "cache/rabbitmq/tree/usr/lib/erlang")
    again = find_software(said.append, cache=tmp_path / "cache", fetch_only=True)
    assert again == software


def test_says_what_to_do_where_it_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_apt(folder: Path) -> None:
        private_apt(folder, have=lambda _: None)

    monkeypatch.setattr(software_module, "private_apt", no_apt)
    with pytest.raises(MissingSoftware, match=r"no apt-get.*Install your distribution's 'rabbitmq-server'"):
        find_software(lambda _: None, cache=tmp_path, fetch_only=True)


def test_a_node_left_by_a_killed_run_is_stopped(rabbitmq_software: RabbitMQSoftware, tmp_path: Path) -> None:
    node = prepare(tmp_path / "node", ports=choose_node_ports(), password="a1", cookie="b2", software=rabbitmq_software)
    mapper, main = node.commands
    environment = {**os.environ, **node.environment}
    orphans = [
        subprocess.Popen(list(each.argv), env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
        for each in (mapper, main)
    ]
    node.recover()
    assert [each.wait(timeout=5) for each in orphans] == [-signal.SIGTERM, 0] or all(
        each.returncode is not None for each in orphans
    )


def test_queues_of_another_password_are_refused_at_once_and_a_temporary_node_takes_their_place(
    rabbitmq_software: RabbitMQSoftware, tmp_path: Path
) -> None:
    ports, log = choose_node_ports(), tmp_path / "log"
    right, wrong = (secrets.token_hex(8) for _ in range(2))

    def node(password: str) -> RabbitMQ:
        home = tmp_path / "rabbitmq"
        return prepare(home, ports=ports, password=password, cookie="a1", software=rabbitmq_software)

    with serving(node(right), log):
        pass
    with (
        pytest.raises(WrongPassword, match=f"{tmp_path / 'rabbitmq'} were made with another password") as refused,
        serving(node(wrong), log),
    ):
        pass
    assert wrong not in str(refused.value)
    assert 1 <= log.read_text().count("invalid credentials") <= 3
    # What has just been refused is also what a test that was killed leaves to the next one in its folder.
    with temporary(tmp_path, software=rabbitmq_software) as new, connect(new.url) as connection:
        assert connection.connected
    assert not (tmp_path / "rabbitmq").exists()
